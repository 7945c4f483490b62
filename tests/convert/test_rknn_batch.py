"""A .rknn that takes several samples together, of a model that takes one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from commands import Run
from graphs import model_of
from rockpress.convert.convert import convert
from rockpress.convert.request import ConversionRequest
from rockpress.core.errors import OptionError

pytestmark = pytest.mark.toolkit

SIZE = 4
WEIGHTS = {"w": (16, 3, 3, 3), "g": (16, 6)}


def saved(folder: Path, batch: int = 1) -> Path:
    text = f"""(float[{batch},3,16,16] x) => (float[{batch},6] y) {{
        h = Conv <pads = [1,1,1,1]> (x, w) r = Relu (h) p = GlobalAveragePool (r)
        f = Flatten (p) y = Gemm (f, g) }}"""
    onnx.save(model_of(text, WEIGHTS), folder / "m.onnx")
    return folder / "m.onnx"


def samples(count: int) -> list[dict[str, Any]]:
    values = np.random.default_rng(0).normal(size=(count, 1, 3, 16, 16)).astype(np.float32)
    return [{"x": value} for value in values]


def size_inside(rknn: Path) -> bytes:
    """The number that the toolkit writes for it: 0 where a sample is alone."""
    content = rknn.read_bytes()
    return content[content.index(b"static_shape") + 20 :][:1]


@pytest.mark.parametrize("quantization", ["float16", "normal"])
def test_each_sample_gives_what_it_gives_alone(quantization: str, tmp_path: Path) -> None:
    model, feeds = saved(tmp_path), samples(5)
    request = ConversionRequest(
        model,
        tmp_path / "1.rknn",
        "rk3588",
        quantization,
        calibration=feeds if quantization == "normal" else (),
        simulate=feeds,
    )
    alone = convert(request)
    together = convert(
        ConversionRequest(
            **{**vars(request), "output": tmp_path / "4.rknn", "rknn_batch_size": SIZE}
        )
    )
    assert alone.outputs is not None and together.outputs is not None
    np.testing.assert_array_equal(together.outputs[0], alone.outputs[0])
    assert (alone.rknn_batch_size, together.rknn_batch_size) == (1, SIZE)
    assert together.cycles == alone.cycles
    assert size_inside(tmp_path / "1.rknn") == b"0" and size_inside(tmp_path / "4.rknn") == b"4"


def test_the_manifest_has_it_and_check_builds_it_again(tmp_path: Path, rockpress: Run) -> None:
    model, feeds = saved(tmp_path), samples(16)
    np.savez(tmp_path / "t.npz", x=np.concatenate([feed["x"] for feed in feeds]))
    fed = ("--calib", tmp_path / "t.npz")
    out = tmp_path / "out"
    run = rockpress("run", model, "-o", out, *fed, "--method", "min-max", "--rknn-batch-size", SIZE)
    assert run.code == 0, run.err
    built = out / "rk3588" / "m.rknn"
    assert size_inside(built) == b"4"
    assert json.loads((out / "rk3588" / "m.rknn.json").read_text())["rknn_batch_size"] == SIZE
    check = rockpress("check", model, built, *fed)
    assert check.code == 0, check.err


def test_a_batch_on_top_of_a_batch_is_refused(tmp_path: Path) -> None:
    request = ConversionRequest(saved(tmp_path, 2), None, "rk3588", rknn_batch_size=SIZE)
    with pytest.raises(OptionError, match="is for a model with a batch of 1"):
        convert(request)
