"""Operators that draw random numbers: what they compute cannot be compared with anything."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import numpy as np
from onnx import ModelProto, NodeProto, numpy_helper

from ..diagnostics import option
from ..errors import ModelError
from .constants import named_constants
from .graph import nodes_in

_RANDOM = {
    *("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"),
    *("Bernoulli", "Multinomial"),
}


def require_deterministic(original: ModelProto, model: ModelProto) -> None:
    """Raise ModelError when a prepared ``model`` draws random numbers, naming the node of it.

    The node is that of the ``original``, as preparing may write it out in others.
    """
    # ONNX Runtime drops a Dropout that trains like any other when it folds the model
    dropouts = (node for node in _random_nodes(original) if node.op_type == "Dropout")
    if next(chain(_random_nodes(model), dropouts), None) is None:
        return
    node = next(_random_nodes(original), None) or next(_random_nodes(model))
    raise ModelError(
        f"node {node.name or node.output[0]!r} ({node.op_type}) draws random numbers, so that no "
        "two runs have the same results",
        "export the model for inference, feed the numbers as an input, or end the model before it "
        f"with {option('outputs')}",
    )


def _random_nodes(model: ModelProto) -> Iterator[NodeProto]:
    constants = dict(named_constants(model))
    for node in nodes_in(model.graph):
        training = constants.get(node.input[2]) if len(node.input) > 2 else None
        trains = training is not None and bool(np.any(numpy_helper.to_array(training)))
        if node.op_type in _RANDOM or (node.op_type == "Dropout" and trains):
            yield node
