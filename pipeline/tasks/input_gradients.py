"""The gradients of a model's loss at its input, by PyTorch."""

from __future__ import annotations

import numpy as np
from onnx import ModelProto

from ...accuracy.attacks.classifier_attack import InputGradients
from ...calibration_data.sources.labels import Classes
from ...core.graphs.graph import fed_inputs
from ...core.training.pytorch import require_torch
from ...core.training.torch_graph import TorchGraph
from ...core.types import Float32

_AT_ONCE = 4  # samples: each takes what all layers give, which gradients are made from


def input_gradients(model: ModelProto, scores: str) -> InputGradients:
    """Return the gradients of a classifier's cross-entropy; its tensor ``scores`` is (1, classes).

    Raises PackageError without PyTorch, and ModelError for operators that have none here.
    """
    require_torch("PGD", "do without it")
    graph = TorchGraph(model)
    name = fed_inputs(model.graph)[0].name

    def gradients(inputs: Float32, labels: Classes) -> Float32:
        starts = range(0, len(inputs), _AT_ONCE)
        pairs = ((inputs[at : at + _AT_ONCE], labels[at : at + _AT_ONCE]) for at in starts)
        return np.concatenate([_of_some(graph, name, scores, *pair) for pair in pairs])

    return gradients


def _of_some(
    graph: TorchGraph, name: str, scores: str, inputs: Float32, labels: Classes
) -> Float32:
    import torch

    fed = torch.from_numpy(np.ascontiguousarray(inputs)).requires_grad_()
    (tensor,) = graph({name: fed}, [scores])
    rows, classes = tensor.reshape(len(inputs), -1), torch.from_numpy(labels)
    torch.nn.functional.cross_entropy(rows, classes, reduction="sum").backward()
    gradient: Float32 = fed.grad.numpy()
    return gradient
