"""What is suggested for a value that an option does not take: the same in every spelling."""

from __future__ import annotations

from pathlib import Path

import pytest

from rockpress.accuracy.metrics.metric_names import METRICS_ELSEWHERE, metric_modules
from rockpress.accuracy.metrics.metric_table import find_metric
from rockpress.convert.chips.targets import TARGET_NAMES, find_target
from rockpress.core.errors import OptionError
from rockpress.core.option_kinds import Choice
from rockpress.core.options import suggestion
from rockpress.pipeline.options.option_table import GROUPS, meant_flag, options_of
from rockpress.pipeline.recipes.recipe import make_recipe
from rockpress.pipeline.recipes.recipe_file import read_jobs
from rockpress.prune.results.budget import parse_budget
from rockpress.quantize.choices.names import (
    METHODS_ELSEWHERE,
    SCHEMES_ELSEWHERE,
    method_names,
    scheme_names,
)

CHIPS = ", ".join(TARGET_NAMES)


def hint_of(**options: object) -> str:
    """What is said of a wrong value on the command line."""
    with pytest.raises(OptionError) as raised:
        make_recipe("m.onnx", **options)
    return raised.value.hint


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        ({"min_retention": 98}, "did you mean --min-retention 0.98?"),
        ({"min_retention": "98%"}, "did you mean --min-retention 0.98?"),
        ({"max_drop": 2}, "did you mean --max-drop 0.02?"),
        ({"max_latency_ms": "4,5"}, "did you mean --max-latency-ms 4.5?"),
        ({"size": 224}, "did you mean --size 224x224?"),
        ({"size": "640*480"}, "did you mean --size 640x480?"),
        ({"scheme": "INT8"}, "did you mean --scheme w8a8?"),
        ({"scheme": "fp16"}, "did you mean --scheme float16?"),
        ({"method": "mmse"}, "did you mean --method mse?"),
        ({"color": "RGB"}, "did you mean --color rgb?"),
        ({"color": "grayscale"}, "did you mean --color gray?"),
        ({"resize": "CenterCrop"}, "did you mean --resize crop?"),
        ({"calib_count": "1e3"}, "did you mean --calib-count 1000?"),
        ({"mean": "[123.6; 116.2; 103.5]"}, "did you mean --mean 123.6,116.2,103.5?"),
        ({"family": "yolo11"}, "did you mean --family ultralytics-detect?"),
        ({"family": "vad"}, "did you mean silero-vad or fsmn-vad?"),
        ({"max_size_mb": "5MB"}, "did you mean --max-size-mb 5?"),
        ({"max_latency_ms": "4,5 ms"}, "did you mean --max-latency-ms 4.5?"),
        ({"timeout": "90s"}, "did you mean --timeout 90?"),
        ({"std": "1/255"}, "did you mean --std 255?"),
        ({"std": "1/58.395, 1/57.12, 1/57.375"}, "did you mean --std 58.395,57.12,57.375?"),
        ({"measured": "old.rknn=6,3"}, "did you mean --measured old.rknn=6.3?"),
        ({"measured": "old.rknn=6.3ms"}, "did you mean --measured old.rknn=6.3?"),
        ({"measured": "6,3"}, ""),
        ({"mean": "1/255"}, ""),
        ({"max_size_mb": "5GB"}, ""),
        ({"size": "big"}, ""),
        ({"std": "0"}, ""),
        ({"min_retention": -1}, ""),
    ],
    ids=str,
)
def test_the_value_that_was_meant(options: dict[str, object], hint: str) -> None:
    assert hint_of(**options) == hint


def test_a_word_that_only_other_verbs_take_is_not_offered() -> None:
    (scheme,) = (each for each in options_of("quantize") if each.name == "scheme")
    kind = scheme.kinds["quantize"]
    assert suggestion("scheme", kind, "float16") == kind.elsewhere
    assert suggestion("scheme", kind, "fp16").startswith("run and convert have float16")
    assert "w8a8" in suggestion("scheme", kind, "int8")


def test_a_recipe_is_told_it_as_a_line_of_it(tmp_path: Path) -> None:
    recipe = tmp_path / "r.toml"
    for line, meant in (
        ("size = 224", "did you mean size = [224, 224]?"),
        ('scheme = "int8"', 'did you mean scheme = "w8a8"?'),
        ("min-retention = 98", "did you mean min-retention = 0.98?"),
        ('target = "rk3588,rk3576"', 'give each by itself: target = ["rk3588", "rk3576"]'),
        ('metric = "accuracy"', 'did you mean metric = "top1"?'),
    ):
        recipe.write_text(f'model = "m.onnx"\n{line}\n')
        with pytest.raises(OptionError) as raised:
            read_jobs(recipe)
        assert raised.value.hint.startswith(meant), line


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("rk3588,rk3576", "give each by itself: --target rk3588 --target rk3576"),
        ("all", f"name those that you build for; known targets: {CHIPS}"),
        ("rk3589", f"did you mean --target rk3588? known targets: {CHIPS}"),
    ],
)
def test_the_chip_that_was_meant(text: str, hint: str) -> None:
    with pytest.raises(OptionError) as raised:
        find_target(text)
    assert raised.value.hint == hint


@pytest.mark.parametrize(
    ("text", "meant"),
    [("mAP", "map"), ("accuracy", "top1"), ("top-1", "top1"), ("mIoU", "miou"), ("AP50", "map50")],
)
def test_the_metric_that_was_meant(text: str, meant: str) -> None:
    with pytest.raises(OptionError, match="is not known") as raised:
        find_metric(text)
    assert raised.value.hint.startswith(f"did you mean --metric {meant}? use ")


def test_the_option_of_a_metric_that_was_meant() -> None:
    for setting, meant in (({"hed": "yolov8"}, "hed"), ({"head": "yolo-v8"}, "head")):
        with pytest.raises(OptionError) as raised:
            find_metric("map50", setting)
        assert raised.value.message.startswith(f"--metric-option {meant}")
        assert raised.value.hint.startswith("did you mean --metric-option head=yolov8? ")


@pytest.mark.parametrize("text", ["30%", "cycles=30", "cycles = -0.3", "cycle=-30", "-30%"])
def test_the_budget_that_was_meant(text: str) -> None:
    with pytest.raises(OptionError) as raised:
        parse_budget(text)
    assert raised.value.hint == "did you mean --prune cycles=-30%?"


def test_every_suggestion_is_taken() -> None:
    """No table may suggest a word that is refused."""
    assert set(SCHEMES_ELSEWHERE.values()) <= set(scheme_names())
    assert set(METHODS_ELSEWHERE.values()) <= set(method_names())
    assert set(METRICS_ELSEWHERE.values()) <= set(metric_modules())
    kinds = [described.kind for verb in ("run", "check") for described in options_of(verb)]
    for kind in kinds:
        if isinstance(kind, Choice):
            assert set(kind.other_names.values()) <= set(kind.words)
    assert len(GROUPS) and find_target("RK3588").name in TARGET_NAMES


def test_options_of_other_tools() -> None:
    flags = [described.flag for described in options_of("run")]
    meant = {name: meant_flag(name, flags) for name in ("dataset", "imgsz", "dtype", "calb", "xyz")}
    assert meant == {
        "dataset": "calib",
        "imgsz": "size",
        "dtype": "scheme",
        "calb": "calib",
        "xyz": "",
    }
