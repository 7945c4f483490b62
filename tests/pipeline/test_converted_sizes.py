"""What the size of a .rknn is beside that of the model that was given."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from commands import Run
from fake_toolkit import FakeToolkit
from graphs import random_feeds
from rockpress.core.graphs.model import model_bytes
from samples import save_feeds

WARNING = "[result-larger]"


@pytest.mark.parametrize("is_larger", [True, False])
def test_a_float_model_that_became_larger_is_told(
    is_larger: bool, small_cnn: Path, fast_toolkit: FakeToolkit, tmp_path: Path, rockpress: Run
) -> None:
    before, output = model_bytes(small_cnn), tmp_path / "out" / "m.rknn"
    fast_toolkit.bytes_of_float16 = before // 4 + (9 if is_larger else 0)  # in words of 4 bytes
    code, out, err = rockpress("convert", small_cnn, "-o", output)
    assert code == 0, err
    after = output.stat().st_size
    assert (after > before) == (f" kB -> {after / 1000:.1f} kB (larger) for rk3588" in out)
    said = f"larger than the model that was given, {after:,} bytes instead of {before:,} {WARNING}"
    assert (said in err) == (WARNING in err) == is_larger
    assert ("rockpress quantize" in err) == is_larger
    code, out, err = rockpress("convert", small_cnn, "-o", output, "--json")
    document = json.loads(out)
    assert (document["bytes_before"], document["bytes"]) == (before, after)
    assert ("result-larger" in [each["code"] for each in document["warnings"]]) == is_larger


def test_a_quantized_model_that_became_larger_is_no_surprise(
    small_cnn: Path, fast_toolkit: FakeToolkit, tmp_path: Path, rockpress: Run
) -> None:
    samples = save_feeds(tmp_path / "samples.npz", random_feeds({"x": (1, 3, 32, 32)}, 8))
    quantized, output = tmp_path / "q.onnx", tmp_path / "out" / "q.rknn"
    assert rockpress("quantize", small_cnn, "--calib", samples, "-o", quantized)[0] == 0
    fast_toolkit.bytes_of_int8 = model_bytes(quantized)
    code, out, err = rockpress("convert", quantized, "-o", output)
    assert code == 0, err
    assert "(larger) for rk3588, qdq" in out
    assert WARNING not in err
