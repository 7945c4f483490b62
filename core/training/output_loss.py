"""The loss: the distance of the student's outputs from the teacher's.

Class scores are compared as logits, before the Softmax: their divergence as probabilities (Hinton,
Vinyals and Dean, "Distilling the Knowledge in a Neural Network", 2015, arXiv:1503.02531, at
temperature 1) and their squared error, which is what that paper's loss becomes at a high
temperature (its section 2.1). Together they were better than either alone, see
docs/pruning-measured.md.
All other outputs are compared by their squared error. Both are over the variance of the teacher's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from onnx import ModelProto

from ..graphs.graph import Graph, attributes
from .torch_layers import Tensor

_SCORES = ("Gemm", "MatMul", "Add")
_SMALL = 1e-9


@dataclass(frozen=True)
class ComparedTensor:
    """A tensor that is compared, and whether its last axis holds scores of classes."""

    name: str
    classes: bool


def compared_tensors(model: ModelProto) -> list[ComparedTensor]:
    """Return the tensor to compare for each output of a model: it, or the input of its Softmax."""
    graph = Graph(model)
    return [_compared_tensor(graph, name) for name in graph.output_names]


def _compared_tensor(graph: Graph, name: str) -> ComparedTensor:
    node, shape = graph.producers.get(name), graph.shapes.get(name, ())
    if node is None or not shape or shape[-1] < 2:
        return ComparedTensor(name, classes=False)
    if node.op_type in ("Softmax", "LogSoftmax"):
        is_last = attributes(node).get("axis", -1) in (-1, len(shape) - 1)
        return ComparedTensor(node.input[0] if is_last else name, classes=is_last)
    return ComparedTensor(name, classes=len(shape) == 2 and node.op_type in _SCORES)


def loss(
    compared: Sequence[ComparedTensor],
    teacher: Sequence[Tensor],
    student: Sequence[Tensor],
    *,
    centred: bool = True,
) -> Tensor:
    """Return the loss summed over the outputs; tensors are (samples, 1, ...).

    What is added to all scores of a sample counts only if they are not to be ``centred``.
    """
    pairs = zip(compared, teacher, student, strict=True)
    return sum(
        _score_loss(a, b, centred=centred) if tensor.classes else value_loss(a, b)
        for tensor, a, b in pairs
    )


def _score_loss(teacher: Tensor, student: Tensor, *, centred: bool) -> Tensor:
    p, q = teacher.log_softmax(-1), student.log_softmax(-1)
    if centred:
        teacher, student = (each - each.mean(-1, keepdim=True) for each in (teacher, student))
    return value_loss(teacher, student) + (p.exp() * (p - q)).sum(-1).mean()


def value_loss(teacher: Tensor, student: Tensor) -> Tensor:
    """Return the squared error over the variance of the teacher's values."""
    return (student - teacher).square().mean() / (teacher.var(correction=0) + _SMALL)
