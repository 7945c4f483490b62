"""What shows that a model comes from Paddle, and what its models share."""

from __future__ import annotations

from typing import Any

from .model_view import ModelView

# of pixels from 0 to 255
IMAGENET: dict[str, Any] = {"mean": [123.675, 116.28, 103.53], "std": [58.395, 57.12, 57.375]}
_MOVING = ("Identity", "Reshape", "Add", "Cast")


def is_of_paddle(view: ModelView) -> bool:
    """Return whether paddle2onnx, which names the graph, has written the model."""
    written = f"{view.producer} {view.model.graph.name}"
    return "PaddlePaddle" in written or "paddle-onnx" in written


def ends_in(view: ModelView, *operators: str) -> bool:
    """Return whether the first output is made by these operators, the last first.

    A sum with a bias and what only moves values may stand between them.
    """
    name = view.outputs[0].name
    for operator in operators:
        node = view.producers.get(name)
        while node is not None and node.op_type in _MOVING and node.op_type != operator:
            node = view.producers.get(node.input[0])
        if node is None or node.op_type != operator:
            return False
        name = node.input[0]
    return True
