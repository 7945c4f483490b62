"""If nodes that the fixed shapes decide."""

from __future__ import annotations

import numpy as np
import pytest

from graphs import model_of
from rockpress.core.diagnostics import option
from rockpress.core.errors import ModelError
from rockpress.core.passes.constant_inputs import with_constant_inputs
from rockpress.core.passes.fold_if import fold_if
from rockpress.core.passes.prepare import prepare_model
from rockpress.core.session import Session

DECIDED = """(float[1, 4] x) => (float[N] y) {
  one = Constant <value = int64 {1}> ()
  zero = Constant <value = int64 {0}> ()
  shape = Shape (x)
  batch = Gather (shape, zero)
  is_one = Equal (batch, one)
  y = If (is_one) <
    then_branch = g1 () => (float[N] out) { axes = Constant <value = int64[1] {0}> ()
      out = Squeeze (x, axes) },
    else_branch = g2 () => (float[N] out) { axes = Constant <value = int64[1] {7}> ()
      out = Squeeze (x, axes) }
  >
}
"""


def test_an_if_decided_by_a_shape_goes_and_the_result_stays() -> None:
    taken = fold_if(model_of(DECIDED, opset=13, prepared=False))
    assert "If" not in {node.op_type for node in taken.graph.node}
    x = np.arange(4, dtype=np.float32)[np.newaxis]
    assert np.array_equal(Session(taken).run({"x": x})[0], x[0])


def test_an_if_decided_by_a_value_stays() -> None:
    text = DECIDED.replace("shape = Shape (x)", "shape = Cast <to = 7> (x)").replace(
        "batch = Gather (shape, zero)", "batch = ReduceMax <keepdims = 0> (shape)"
    )
    taken = fold_if(model_of(text, opset=13, prepared=False))
    assert [node.op_type for node in taken.graph.node].count("If") == 1


BY_NUMBER = """(float[N, 4] x, int64 rate) => (float[M] y) {
  high = Constant <value = int64 {16000}> ()
  is_high = Equal (rate, high)
  [rates] y = If (is_high) <
    then_branch = g1 () => (float[M] out) { axes = Constant <value = int64[1] {0}> ()
      out = Squeeze (x, axes) },
    else_branch = g2 () => (float[M] out) { axes = Constant <value = int64[1] {1}> ()
      out = Squeeze (x, axes) }
  >
}
"""


def test_an_if_decided_by_an_input_of_one_number_says_so() -> None:
    model = model_of(BY_NUMBER, opset=13, prepared=False)
    with pytest.raises(
        ModelError, match="If 'rates' chooses by the value of the input 'rate'"
    ) as c:
        prepare_model(model)
    assert option("constant", {"rate": 1}) in c.value.diagnostic.hint
    fixed = prepare_model(with_constant_inputs(model, {"rate": 16000}))
    assert [node.op_type for node in fixed.graph.node] == ["Squeeze"]


def test_a_decision_that_comes_through_another_branch() -> None:
    text = DECIDED.replace(
        "is_one = Equal (batch, one)",
        """first = Equal (batch, one)
        is_one = If (first) <
          then_branch = h1 () => (bool yes) { yes = Equal (batch, one) },
          else_branch = h2 () => (bool no) { no = Equal (batch, zero) }
        >""",
    )
    taken = fold_if(model_of(text, opset=13, prepared=False))
    assert "If" not in {node.op_type for node in taken.graph.node}


def test_a_decision_that_comes_through_a_loop() -> None:
    text = DECIDED.replace(
        "is_one = Equal (batch, one)",
        """first = Equal (batch, one)
        three = Constant <value = int64 {3}> ()
        is_one = Loop (three, first, first) <body = b (int64 i, bool go, bool v) =>
          (bool on, bool w) { on = Identity (go) u = Not (v) w = Not (u) }>""",
    )
    taken = fold_if(model_of(text, opset=13, prepared=False))
    assert "If" not in {node.op_type for node in taken.graph.node}
    x = np.arange(4, dtype=np.float32)[np.newaxis]
    assert np.array_equal(Session(taken).run({"x": x})[0], x[0])


def test_the_model_given_is_not_changed() -> None:
    model = model_of(DECIDED, opset=13, prepared=False)
    before = model.SerializeToString()
    fold_if(model)
    assert model.SerializeToString() == before
