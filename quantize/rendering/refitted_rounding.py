"""A float model with some layers rounded, each first refitted to what the float network makes.

Layers that are not rounded, such as the depthwise convolutions beside weights of 4 bits, are
refitted too. See layer_refit.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

import numpy as np
from onnx import ModelProto, TensorProto, numpy_helper

from ...core.graphs.graph import Graph
from ...core.graphs.score_branches import score_layers
from ...core.progress import SILENT, Progress
from ...core.streaming.layerwise import LayerwiseExecutor
from ...core.types import Array, Feeds, Float64
from ..graph_parts.placement import weighted_nodes
from ..graph_parts.weighted_layers import WeightedLayer, layers_from, shares_weight
from ..statistics.tensor_statistics import POSITIONS, InputMoments
from .layer_refit import RefitStep, refit_layers, refit_steps
from .rounding import Rounded, with_layer_weights, with_rounded_weights
from .shortfall import Pull, Shortfall

# a layer, its weight as WeightedLayer.matrix, the moments of its inputs -> the rounded matrix
RoundMatrix = Callable[[WeightedLayer, Float64, InputMoments], Float64]

_PULL = Pull((0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0), least_held_out=8, otherwise=0.3)


def refitted_model(
    model: ModelProto,
    layers: Collection[WeightedLayer],
    samples: Iterable[Feeds],
    round_matrix: RoundMatrix,
    *,
    shared: Mapping[str, Rounded] | None = None,
    logits: Collection[str] = (),
    seed: int,
    progress: Progress = SILENT,
) -> ModelProto:
    """Return a float copy of a model with ``layers`` rounded, and what comes after them refitted.

    ``samples`` are read once; both networks run side by side on them, each layer once. A layer
    without a bias of its own or of more inputs than are treated together is rounded as it is.
    A weight of several layers is not refitted: it is as ``shared`` has these, by name, rounded.
    ``logits`` are the outputs that a Sigmoid reads on the host: see score_branches.
    Raises SamplesError when there are no samples.
    """
    graph = Graph(model)
    rounded, shared = {layer.name for layer in layers}, shared or {}
    start = with_rounded_weights(model, shared)
    steps = _steps(graph, rounded, shared, logits)
    if not steps:
        return start
    student = with_layer_weights(
        start,
        {
            step.layer.name: (
                step.layer.weight if step.layer.name in rounded else None,
                step.layer.bias,
            )
            for step in steps
        },
    )
    tensors = {tensor.name: tensor for tensor in student.graph.initializer}

    def put(step: RefitStep, shortfall: Shortfall, matrix: Float64) -> None:
        layer = step.layer
        if layer.name in rounded:
            matrix = round_matrix(layer, matrix, shortfall.moments)
        node = student.graph.node[step.position]
        _put(tensors[node.input[1]], layer.weight_like(matrix))
        if layer.bias is not None:
            lost = layer.matrix(layer.weight) - matrix
            _put(tensors[node.input[2]], layer.bias + shortfall.lost_mean(lost))

    run = LayerwiseExecutor(student, samples)
    refit_layers(steps, model, run, put, pull=_PULL, seed=seed, progress=progress)
    return student


def _steps(
    graph: Graph, rounded: Collection[str], shared: Collection[str], logits: Collection[str]
) -> list[RefitStep]:
    """Return the layers to refit in graph order, from the first rounded one on.

    Those that share a weight are left as they are.
    """
    places = {node.output[0]: index for index, node in enumerate(graph.nodes)}
    own = [
        layer
        for layer in layers_from(graph, weighted_nodes(graph))
        if not shares_weight(graph, layer)
    ]
    first = min((places[name] for name in {*rounded, *shared}), default=len(places))
    steps = refit_steps(graph, own, POSITIONS, score_layers(graph, logits))
    return [step for step in steps if step.position >= first]


def _put(tensor: TensorProto, value: Array) -> None:
    tensor.CopyFrom(numpy_helper.from_array(np.asarray(value, np.float32), tensor.name))
