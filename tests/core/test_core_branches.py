"""If nodes that the fixed shapes decide."""

from __future__ import annotations

import numpy as np

from graphs import model_of
from rockpress.core.passes.fold_if import fold_if
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


def test_the_model_given_is_not_changed() -> None:
    model = model_of(DECIDED, opset=13, prepared=False)
    before = model.SerializeToString()
    fold_if(model)
    assert model.SerializeToString() == before
