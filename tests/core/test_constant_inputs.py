"""Inputs that are made constants: the rate of a network that is two in one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper

from commands import Run
from graphs import model_of, random_weights
from rockpress.core.errors import OptionError
from rockpress.core.passes.constant_inputs import with_constant_inputs
from rockpress.core.passes.prepare import prepare_model
from rockpress.core.session import Session
from rockpress.pipeline.options.sample_options import ModelOptions
from rockpress.pipeline.samples.ready_model import ready_model

SCALED = """(float[1,4] x, float[n,4] gain, int64 rate) => (float[1,4] y) {
    r = Cast <to = 1> (rate) s = Mul (x, r) y = Mul (s, gain) }"""


def two_rates() -> ModelProto:
    """Return a model of which one branch is for 8000 samples a second, and else another."""
    branches = {
        name: helper.make_graph(
            [helper.make_node("Mul", ["x", factor], [f"{name}.y"])],
            name,
            [],
            [helper.make_tensor_value_info(f"{name}.y", TensorProto.FLOAT, [1, 4])],
        )
        for name, factor in (("then_branch", "two"), ("else_branch", "three"))
    }
    text = """(float[1,4] x, int64 sr) => (float[1,4] y) {
        is_low = Equal (sr, low) y = Identity (x) }"""
    model = model_of(
        text,
        {"low": np.array(8000), "two": np.array(2.0), "three": np.array(3.0)},
        prepared=False,
    )
    del model.graph.node[1]
    model.graph.node.append(helper.make_node("If", ["is_low"], ["y"], **branches))
    onnx.checker.check_model(model)
    return model


def test_a_constant_input_counts_as_one() -> None:
    model = model_of(SCALED, random_weights({}), prepared=False)
    (before,) = Session(model).run(
        {
            "x": np.ones((1, 4), np.float32),
            "gain": np.full((1, 4), 0.5, np.float32),
            "rate": np.array(16000),
        }
    )
    changed = with_constant_inputs(model, {"rate": 16000, "gain": 0.5})
    assert [value.name for value in changed.graph.input] == ["x"]
    assert [value.name for value in model.graph.input] == ["x", "gain", "rate"]
    (after,) = Session(prepare_model(changed)).run({"x": np.ones((1, 4), np.float32)})
    np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize(("rate", "factor"), [(8000, 2), (16000, 3)])
def test_a_constant_decides_a_branch(rate: int, factor: int, tmp_path: Path) -> None:
    onnx.save(two_rates(), tmp_path / "m.onnx")
    ready = ready_model(tmp_path / "m.onnx", ModelOptions(constant={"sr": rate}))
    assert {node.op_type for node in ready.model.graph.node} == {"Mul"}
    (y,) = Session(ready.model).run({"x": np.ones((1, 4), np.float32)})
    assert (y == factor).all()


def test_what_cannot_be_a_constant_is_refused(rockpress: Run, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="no input 'rt'") as caught:
        with_constant_inputs(two_rates(), {"rt": 1})
    assert caught.value.hint == "its inputs are: x, sr"
    with pytest.raises(OptionError, match="the input holds int64"):
        with_constant_inputs(two_rates(), {"sr": 0.5})
    onnx.save(two_rates(), tmp_path / "m.onnx")
    out = rockpress("inspect", tmp_path / "m.onnx", "--constant", "sr=16000").out
    assert "input  x 1x4 float32\noutput y" in out
    code, _, err = rockpress("inspect", tmp_path / "m.onnx", "--constant", "sr=fast")
    assert code == 2 and "'sr=fast' is not NAME=VALUE, such as sr=16000" in err
