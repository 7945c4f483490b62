"""The compiler's cycles from a process that stays warm, remembered by structure."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import onnx
import psutil
import pytest
from onnx import ModelProto

from graphs import model_of, random_weights
from rockpress.convert.chips.structure import structure_digest
from rockpress.convert.convert import convert
from rockpress.convert.oracle import Oracle
from rockpress.convert.request import ConversionRequest
from rockpress.convert.toolkit.environment import toolkit_version
from rockpress.convert.toolkit.failures import Limits, ToolkitRaised, ToolkitTimeout
from rockpress.core.errors import RockpressError

pytestmark = [pytest.mark.toolkit, pytest.mark.usefixtures("leaves_nothing_behind")]
needs_toolkit = pytest.mark.skipif(toolkit_version() is None, reason="needs rknn-toolkit2")


def conv(cout: int, *, kernel: int = 3, seed: int = 0, name: str = "x") -> ModelProto:
    text = f"""(float[1,32,28,28] {name}) => (float[1,{cout},28,28] y) {{
        y = Conv <pads = {[kernel // 2] * 4}> ({name}, w) }}"""
    weights = random_weights({"w": (cout, 32, kernel, kernel)}, seed, scale=1)
    return model_of(text, weights, opset=13, prepared=False)


@needs_toolkit
def test_one_warm_child_answers_many_questions() -> None:
    with Oracle() as oracle:
        # 28x28 pixels, 9 taps, 1024 multiply-accumulates a cycle in int8 and 512 in float16
        assert oracle.cycles(conv(32), "rk3588") == 7056
        (child,) = psutil.Process().children()
        assert oracle.cycles(conv(33), "rk3588") == 14112
        assert oracle.cycles(conv(32), "rk3588", "float16") == 14112
        assert oracle.cycles(conv(32), "rk3566") == 14112
        assert oracle.compiled == 4
        assert oracle.cycles(conv(32, seed=5, name="other"), "rk3588") == 7056
        assert oracle.compiled == 4
        assert psutil.Process().children() == [child]
        (row,) = [one for one in oracle.layers(conv(32), "rk3588") if one.total_cycles]
        assert row.op == "Conv" and row.dtype == "INT8"


@needs_toolkit
def test_the_oracle_agrees_with_a_conversion(small_cnn: Path) -> None:
    samples = [{"x": np.zeros((1, 3, 32, 32), np.float32)}]
    built = convert(
        ConversionRequest(small_cnn, None, "rk3588", quantization="normal", calibration=samples)
    )
    with Oracle() as oracle:
        assert oracle.cycles(onnx.load(small_cnn), "rk3588") == built.cycles


@needs_toolkit
def test_a_model_that_the_oracle_refuses_does_not_end_it() -> None:
    bad = model_of("(float[1,3,8,8] x) => (int64[4,n] y) { y = NonZero (x) }", prepared=False)
    with Oracle() as oracle:
        assert oracle.cycles(conv(32), "rk3588") == 7056
        (child,) = psutil.Process().children()
        with pytest.raises(ToolkitRaised):
            oracle.cycles(bad, "rk3588", "float16")
        assert oracle.cycles(conv(64), "rk3588") == 14112
        assert psutil.Process().children() == [child]


@needs_toolkit
def test_a_child_that_died_is_replaced() -> None:
    with Oracle() as oracle:
        assert oracle.cycles(conv(32), "rk3588") == 7056
        (child,) = psutil.Process().children()
        os.kill(child.pid, signal.SIGKILL)
        assert oracle.cycles(conv(64), "rk3588") == 14112
        assert psutil.Process().children() != [child]


@needs_toolkit
def test_a_child_that_is_too_slow_is_ended() -> None:
    with Oracle(limits=Limits(timeout=0.2, memory_gb=12)) as oracle:
        with pytest.raises(ToolkitTimeout):
            oracle.cycles(conv(32), "rk3588")
        assert psutil.Process().children() == []


def test_an_unknown_target() -> None:
    with Oracle() as oracle, pytest.raises(RockpressError, match="unknown target"):
        oracle.cycles(conv(32), "rk9999")


def test_structure_is_operators_attributes_and_shapes() -> None:
    same = structure_digest(conv(32))
    assert structure_digest(conv(32, seed=1, name="elsewhere")) == same
    assert structure_digest(conv(33)) != same
    assert structure_digest(conv(32, kernel=1)) != same


@pytest.mark.parametrize(("low", "equal"), [(0.0, True), (-1.0, False)])
def test_settings_count_with_their_values(low: float, equal: bool) -> None:
    def clip(value: float) -> ModelProto:
        text = "(float[1,4] x) => (float[1,4] y) { y = Clip (x, low) }"
        return model_of(text, {"low": value}, prepared=False)

    assert (structure_digest(clip(0.0)) == structure_digest(clip(low))) is equal
