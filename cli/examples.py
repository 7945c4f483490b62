"""Command lines to begin with, a few for each verb: the help of a verb shows them."""

from __future__ import annotations

# verb -> lines; the first is what most people want
EXAMPLES: dict[str, tuple[str, ...]] = {
    "run": (
        "rockpress run model.onnx --calib images/ --eval labelled/ --min-retention 0.98",
        "rockpress run model.onnx --calib images/ --target rk3576 --prune cycles=-30% -o build",
        "rockpress run rockpress.toml --dry-run",
    ),
    "prune": (
        "rockpress prune model.onnx -o pruned.onnx --prune cycles=-30% --calib images/",
        "rockpress prune model.onnx -o pruned.onnx --max-drop 0.02 --calib images/",
    ),
    "quantize": (
        "rockpress quantize model.onnx -o int8.onnx --calib images/",
        "rockpress quantize model.onnx -o mixed.onnx --calib images/ --mixed sqnr=25 --explain",
    ),
    "convert": (
        "rockpress convert int8.onnx -o model.rknn --target rk3588",
        "rockpress convert model.onnx -o model.rknn --scheme float16",
    ),
    "check": (
        "rockpress check model.onnx model.rknn --eval labelled/ --min-retention 0.98",
        "rockpress check model.onnx int8.onnx --calib images/ --report check.html",
        "rockpress check model.onnx model.rknn --eval labelled/ --board ssh://pi@orange",
    ),
    "predict": (
        "rockpress predict model.onnx images/ -o drawn/",
        "rockpress predict model.onnx images/ --against model.rknn -o drawn/",
        "rockpress predict model.onnx cat.jpg --top 3 --json",
    ),
    "bench": (
        "rockpress bench build/rk3588/model.rknn --board ssh://orangepi@192.168.1.20",
        "rockpress bench model.rknn --board ssh://board --layers --record board.json",
        "rockpress bench model.rknn --board local --json",
    ),
    "tune": (
        "rockpress tune rockpress.toml --time 30m",
        "rockpress tune model.onnx --calib images/ --eval labelled/ --trials 24 --pick latency=5ms",
    ),
    "compare": (
        "rockpress compare release/report.json build/",
        "rockpress compare runs/ --report runs/all.html",
        "rockpress compare old.rknn new.rknn",
    ),
    "inspect": (
        "rockpress inspect model.onnx",
        "rockpress inspect model.onnx --target rk3588 --top 5",
        "rockpress inspect build/rk3588/model.rknn",
    ),
    "doctor": (
        "rockpress doctor",
        "rockpress doctor --self-test",
        "rockpress doctor --board ssh://pi@orange",
    ),
    "init": (
        "rockpress init model.onnx --calib images/ --eval labelled/",
        "rockpress init detector.onnx reader.onnx -o models --ci gitlab",
    ),
    "cache": ("rockpress cache", "rockpress cache --shrink 2"),
    "demo": ("rockpress demo", "rockpress demo --prune macs=-30% --report demo.html"),
}
