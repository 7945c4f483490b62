"""An ONNX graph as a function that torch can differentiate, node for node.

Nothing is exported: the trained tensors are the graph's own initializers, under their names, and
are written back to these.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from onnx import ModelProto, NodeProto, helper, numpy_helper

from ..errors import ModelError
from ..graphs.graph import Graph, attributes
from ..types import Array
from .torch_layers import UNTRAINED, Attrs, Tensor, Torch
from .torch_operators import OPERATORS

# Operators all of whose constants may be trained; of the others, those of more than one number.
_WITH_WEIGHTS = (
    "Conv ConvTranspose Gemm MatMul PRelu LayerNormalization InstanceNormalization".split()
)
_WITH_VECTORS = ("Add", "Mul")
_OF_IMAGES = 5  # axes


def require_trainable(model: ModelProto, instead: str = UNTRAINED) -> None:
    """Raise ModelError if the graph has operators that cannot be trained through.

    ``instead`` says what to do then.
    """
    unknown = Counter(
        node.op_type for node in model.graph.node if node.op_type not in _TRAINABLE or node.domain
    )
    if unknown:
        named = ", ".join(f"{name} ({count})" for name, count in unknown.items())
        raise ModelError(f"training cannot go through these operators: {named}", instead)


_TRAINABLE = {*OPERATORS, "Constant"}


def trainable(graph: Graph) -> list[str]:
    """Return the names of the initializers that are weights and biases, not constants of a formula.

    The numbers of a hard-swish, such as the 3 and the 6 in x * relu6(x + 3) / 6, stay as they are,
    and so do mean and variance of a BatchNormalization.
    """
    names: dict[str, None] = {}
    for node in graph.nodes:
        for name in node.input:
            value = graph.weights.get(name)
            if value is None or value.dtype != np.float32:
                continue
            if node.op_type in _WITH_WEIGHTS or (node.op_type in _WITH_VECTORS and value.size > 1):
                names[name] = None
    return list(names)


class TorchGraph:
    """A model as a function of its inputs; ``weights`` are the tensors that are trained, by name.

    They are those named ``trained``, if given, else all that are weights and biases.

    Samples are given as the model takes them, stacked along a new first axis: a graph that was
    made for one sample, whatever it reshapes, takes as many as there are. Raises ModelError for an
    operator that cannot be trained through.
    """

    def __init__(self, model: ModelProto, trained: Sequence[str] | None = None) -> None:
        import torch

        require_trainable(model)
        graph = Graph(model)
        self._torch: Torch = torch
        self._nodes = [_TorchNode(node) for node in graph.nodes if node.op_type != "Constant"]
        self._outputs = graph.output_names
        names = set(trainable(graph) if trained is None else trained)
        self.weights: dict[str, Tensor] = {}
        self._constants: dict[str, Tensor] = {"": None}
        for name, value in [*graph.weights.items(), *_constants(graph)]:
            tensor = torch.from_numpy(np.array(value))
            (self.weights if name in names else self._constants)[name] = tensor

    def __call__(
        self,
        feeds: Mapping[str, Tensor],
        names: Sequence[str] | None = None,
        weights: Mapping[str, Tensor] | None = None,
    ) -> list[Tensor]:
        """Return the outputs, or the tensors ``names``, (samples, ...), with their gradients.

        ``weights``, if given, are taken instead of its own: of what they were computed from.
        """
        outputs = list(self._outputs if names is None else names)
        constants = {**self._constants, **self.weights, **(weights or {})}
        run = self._torch.func.vmap(lambda sample: self._run_sample(constants, sample, outputs))
        results: list[Tensor] = run({name: self._laid_out(x) for name, x in feeds.items()})
        return results

    def _laid_out(self, samples: Tensor) -> Tensor:
        """Return images (samples, 1, C, H, W) with the channels innermost in memory.

        So are the results of all convolutions and of what works value by value; depthwise ones and
        their gradients are faster so: a seventh of a step's time on EfficientNet-Lite0.
        """
        if samples.ndim != _OF_IMAGES or samples.shape[1] != 1:
            return samples
        images = samples.flatten(0, 1).contiguous(memory_format=self._torch.channels_last)
        return images.unflatten(0, samples.shape[:2])

    def _run_sample(
        self, constants: Mapping[str, Tensor], feeds: Mapping[str, Tensor], outputs: list[str]
    ) -> list[Tensor]:
        tensors = {**constants, **feeds}
        for node in self._nodes:
            tensors.update(zip(node.outputs, node.run(self._torch, tensors), strict=False))
        return [tensors[name] for name in outputs]


class _TorchNode:
    """A node with its attributes and its torch function."""

    def __init__(self, node: NodeProto) -> None:
        self._inputs = list(node.input)
        self.outputs = list(node.output)
        self._operator = OPERATORS[node.op_type]
        self._attrs: Attrs = {**attributes(node), "outputs": len(node.output)}

    def run(self, torch: Torch, tensors: Mapping[str, Tensor]) -> Sequence[Tensor]:
        """Return the node's outputs for the values of the tensors before it."""
        outputs = self._operator(torch, self._attrs, *[tensors[name] for name in self._inputs])
        return outputs if isinstance(outputs, (tuple, list)) else (outputs,)


def _constants(graph: Graph) -> list[tuple[str, Array]]:
    return [
        (node.output[0], np.asarray(numpy_helper.to_array(attributes(node)["value"])))
        for node in graph.nodes
        if node.op_type == "Constant"
    ]


def with_weights(model: ModelProto, weights: dict[str, Array]) -> ModelProto:
    """Return a copy with other values in some initializers, of their types, the rest as it is."""
    changed = ModelProto()
    changed.CopyFrom(model)
    for tensor in changed.graph.initializer:
        if tensor.name in weights:
            kind = helper.tensor_dtype_to_np_dtype(tensor.data_type)
            value = np.ascontiguousarray(weights[tensor.name], dtype=kind)
            tensor.CopyFrom(numpy_helper.from_array(value, tensor.name))
    return changed
