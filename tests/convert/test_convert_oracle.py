"""The compiler's cycles from a process that stays warm, remembered by structure."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import psutil
import pytest
from onnx import ModelProto, helper, numpy_helper

from rockpress.convert.chips.structure import structure_digest
from rockpress.convert.convert import convert
from rockpress.convert.oracle import Oracle
from rockpress.convert.request import ConversionRequest
from rockpress.convert.toolkit.environment import toolkit_version
from rockpress.convert.toolkit.failures import ToolkitRaised, ToolkitTimeout
from rockpress.convert.toolkit.outcome import Limits
from rockpress.core.errors import RockpressError

needs_toolkit = pytest.mark.skipif(toolkit_version() is None, reason="needs rknn-toolkit2")


@pytest.fixture(autouse=True)
def leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    yield
    assert list(place.iterdir()) == []
    assert psutil.Process().children(recursive=True) == []


def conv(cout: int, *, kernel: int = 3, seed: int = 0, name: str = "x") -> ModelProto:
    weight = np.random.default_rng(seed).normal(size=(cout, 32, kernel, kernel))
    graph = helper.make_graph(
        [helper.make_node("Conv", [name, "w"], ["y"], pads=[kernel // 2] * 4)],
        "g",
        [helper.make_tensor_value_info(name, 1, [1, 32, 28, 28])],
        [helper.make_tensor_value_info("y", 1, [1, cout, 28, 28])],
        [numpy_helper.from_array(weight.astype(np.float32), "w")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


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
def test_it_agrees_with_a_conversion(small_cnn: Path) -> None:
    samples = [{"x": np.zeros((1, 3, 32, 32), np.float32)}]
    built = convert(
        ConversionRequest(small_cnn, None, "rk3588", quantization="normal", calibration=samples)
    )
    with Oracle() as oracle:
        assert oracle.cycles(onnx.load(small_cnn), "rk3588") == built.cycles


@needs_toolkit
def test_a_model_it_refuses_does_not_end_it() -> None:
    bad = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 17]> '
        "g (float[1,3,8,8] x) => (int64[4,n] y) {y = NonZero(x)}"
    )
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
        model = onnx.parser.parse_model(
            '<ir_version: 8, opset_import: ["" : 17]> '
            "g (float[1,4] x) => (float[1,4] y) {y = Clip(x, low)}"
        )
        tensor = numpy_helper.from_array(np.array(value, np.float32), "low")
        model.graph.initializer.append(tensor)
        return model

    assert (structure_digest(clip(0.0)) == structure_digest(clip(low))) is equal
