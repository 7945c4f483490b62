"""A model that takes uint8 is quantized and built, and its manifest says that it takes pixels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from commands import Run
from graphs import model_of

pytestmark = pytest.mark.toolkit

_WEIGHTS: dict[str, Any] = {
    "w": (8, 3, 3, 3),
    "mean": np.array(120.0),
    "std": np.array(60.0),
    "v": (5, 8, 1, 1),
}
_NETWORK = "n = Div (c, std) h = Conv (n, w) r = Relu (h) y = Conv (r, v) }"
PLANAR = f"""(uint8[1,3,16,16] x) => (float[1,5,14,14] y) {{
    f = Cast <to = 1> (x) c = Sub (f, mean) {_NETWORK}"""
LAST = f"""(uint8[1,16,16,3] x) => (float[1,5,14,14] y) {{
    f = Cast <to = 1> (x) t = Transpose <perm = [0, 3, 1, 2]> (f) c = Sub (t, mean) {_NETWORK}"""


def saved(folder: Path, text: str) -> tuple[Path, Path, Path]:
    """Return the model, and samples of it as uint8 and as floats."""
    model = model_of(text, _WEIGHTS, prepared=False)
    onnx.save(model, folder / "m.onnx")
    shape = [dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim][1:]
    values = np.random.default_rng(0).integers(0, 256, (8, *shape), np.uint8)
    np.savez(folder / "bytes.npz", x=values)
    np.savez(folder / "floats.npz", x=values.astype(np.float32))
    return folder / "m.onnx", folder / "bytes.npz", folder / "floats.npz"


@pytest.mark.parametrize("text", [PLANAR, LAST])
def test_bytes_and_floats_calibrate_alike(text: str, tmp_path: Path, rockpress: Run) -> None:
    model, *samples = saved(tmp_path, text)
    plans = []
    for path in samples:
        quantized = tmp_path / f"{path.stem}.onnx"
        done = rockpress("quantize", model, "-o", quantized, "--calib", path, "--method", "min-max")
        assert done.code == 0, done.err
        plans.append((tmp_path / f"{path.stem}.plan.toml").read_text().split("[", 1)[1])
    assert plans[0] == plans[1]


def test_the_manifest_says_uint8(tmp_path: Path, rockpress: Run) -> None:
    model, samples, _ = saved(tmp_path, PLANAR)
    whole = rockpress(
        "run", model, "-o", tmp_path / "out", "--calib", samples, "--method", "min-max"
    )
    assert whole.code == 0, whole.err
    plain = rockpress("convert", model, "-o", tmp_path / "f.rknn")
    assert plain.code == 0, plain.err
    for path in (tmp_path / "out" / "rk3588" / "m.rknn.json", tmp_path / "f.rknn.json"):
        (fed,) = json.loads(path.read_text())["inputs"]
        assert (fed["dtype"], fed["layout"]) == ("uint8", "NHWC")
        assert set(fed["mean"]) == {0.0} and set(fed["std"]) == {1.0}
