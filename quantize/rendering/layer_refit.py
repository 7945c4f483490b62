"""Layers fitted by least squares to what the float network makes, on inputs of a rounded network.

A layer reads what the layers before it give once they are rounded. Its weight is refitted by least
squares, so that on these inputs it gives the float network's result; what becomes of it then is the
caller's, who rounds it as a rule, its error being made up for by the layers to come. Before a
residual addition the target is the float network's sum, less the other summand as it is. The float
network runs once, and of its results only what is fitted is stored. After Y. Li et al., "GPTAQ:
efficient finetuning-free quantization for asymmetric calibration" (ICML 2025, arXiv 2504.02692) and
Y. He et al., "Channel pruning for accelerating very deep neural networks" (ICCV 2017, arXiv
1707.06168), section 3.2.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from onnx import ModelProto

from ...core.graphs.graph import Graph, fed_inputs
from ...core.graphs.layers import residual_of
from ...core.progress import SILENT, Progress
from ...core.streaming.layerwise import LayerwiseExecutor, SpooledArrays
from ...core.streaming.score_positions import positions_by_score
from ...core.streaming.shuffled_positions import shuffled_position
from ...core.streaming.tensor_stream import stream
from ...core.trim_heap import trim_heap
from ...core.types import Array, Float64
from ..graph_parts.weighted_layers import WeightedLayer
from ..statistics.tensor_statistics import some_positions
from .shortfall import Pull, Shortfall, best_pull

_HELD_OUT_EVERY = 4
_WIDE = 512  # inputs, of whose moments there are so many that much memory is to be given back
_BATCH = 8  # samples that are multiplied at once
_IN_MEMORY = 1 << 16  # bytes of a layer's targets: there are as many as layers
# Of a last layer before scores: what is found in few samples is no choice of a pull. With 0.1 and 1
# as many boxes were left; what the squared error chooses, 10 as a rule, makes up for half as much.
_SCORE_PULL = 0.3
# of a layer's result on all samples, as floats, which the rounded network holds on the disk
_MOST_BYTES, _LEAST_SAMPLES = 2.5e9, 16


@dataclass(frozen=True, eq=False)
class RefitStep:
    """A layer to refit: ``layer.x`` and ``other`` are named as in the rounded network.

    The layer may change before the node at ``position`` has run there. ``target`` is what the float
    network makes, and ``other`` is taken off that. Of a layer of few inputs ``few_positions`` of a
    sample count. With ``gives_scores`` the results are logits of scores, and are fitted where these
    count.
    """

    layer: WeightedLayer
    position: int
    target: str
    other: str
    few_positions: int
    gives_scores: bool = False


def refit_steps(
    graph: Graph,
    layers: Collection[WeightedLayer],
    few_positions: int,
    scores: Collection[str] = (),
) -> list[RefitStep]:
    """Return the layers to refit, in the order and by the names of their own graph.

    Those named by ``scores`` give logits of scores.
    """
    places = {name: index for index, node in enumerate(graph.nodes) for name in node.output}
    steps = []
    for layer in layers:
        if layer.has_columns:
            target, other = residual_of(graph, layer.node) or (layer.name, "")
            place, gives_scores = places[layer.name], layer.name in scores
            steps.append(RefitStep(layer, place, target, other, few_positions, gives_scores))
    return sorted(steps, key=lambda step: step.position)


def samples_that_fit(layers: Collection[WeightedLayer]) -> int:
    """Return how many samples layers can be refitted on without filling the disk."""
    largest = max(layer.channels * layer.positions for layer in layers) * 4
    return max(int(_MOST_BYTES / largest), _LEAST_SAMPLES)


def refit_layers(
    steps: Sequence[RefitStep],
    teacher: ModelProto,
    student: LayerwiseExecutor,
    put: Callable[[RefitStep, Shortfall, Float64], None],
    *,
    pull: Pull,
    most_bytes: float = math.inf,
    seed: int,
    progress: Progress = SILENT,
) -> None:
    """Go through the layers, and let ``put`` change each in the model that the student runs.

    It gets what the layer lacked and the matrix (groups, outputs, inputs) that makes up for it.
    The ``teacher`` is the float model; both run on the samples of the ``student``, which has run
    nothing yet. Inputs of several samples are multiplied at once unless they take ``most_bytes``.
    """
    targets = _targets(steps, teacher, student, seed)
    for done, step in enumerate(steps):
        progress.step("refit layers", done, len(steps))
        student.run_until(step.position)
        results = targets.pop(0)
        places = _places(step, results, seed)
        gather = partial(_missing, step, results, places, student, most_bytes)
        shortfall, matrix = _refitted(step, len(student), gather, pull)
        if step.layer.width >= _WIDE:
            trim_heap()
        put(step, shortfall, matrix)
        del shortfall, matrix
    progress.step("refit layers", len(steps), len(steps))


def _targets(
    steps: Sequence[RefitStep], teacher: ModelProto, student: LayerwiseExecutor, seed: int
) -> list[SpooledArrays]:
    """Return for each layer what the float network makes of the samples, where it is fitted.

    Of one that gives scores that is everything, as they say where it is.
    """
    targets = [SpooledArrays(_IN_MEMORY) for _ in steps]

    def take(values: Mapping[str, Array]) -> None:
        for step, own in zip(steps, targets, strict=True):
            every = np.arange(step.layer.positions)
            at = every if step.gives_scores else _place(step, seed, len(own))
            own.append(_results(step.layer, values[step.target], at))

    inputs = [value.name for value in fed_inputs(teacher.graph)]
    stream(teacher, [step.target for step in steps], student.feeds(inputs), take, is_checked=False)
    return targets


def _refitted(
    step: RefitStep, count: int, gather: Callable[[Sequence[int]], Shortfall], pull: Pull
) -> tuple[Shortfall, Float64]:
    """Return what a layer lacks on all samples, and its matrix, the pull chosen on a quarter."""
    layer, every = step.layer, range(count)
    if step.gives_scores:
        whole = gather(every)
        return whole, whole.refitted(layer, _SCORE_PULL)
    if count < pull.least_held_out * _HELD_OUT_EVERY:
        whole = gather(every)
        return whole, whole.refitted(layer, pull.otherwise)
    positions = [shuffled_position(index, _HELD_OUT_EVERY) for index in every]
    whole = gather([index for index in every if positions[index]])
    unseen = gather([index for index in every if not positions[index]])
    if not whole.is_solved:
        whole.take_in(unseen)
        return whole, whole.refitted(layer, pull.otherwise)
    unit = whole.moments.variance or 1.0
    fit, other = whole.in_single(unit), unseen.in_single(unit)
    whole.take_in(unseen)
    del unseen  # as large as the moments and the weight
    best = best_pull(pull.among, fit, other)
    del fit, other
    return whole, whole.refitted(layer, best)


def _missing(
    step: RefitStep,
    targets: SpooledArrays,
    places: Callable[[int], Array],
    student: LayerwiseExecutor,
    most_bytes: float,
    samples: Sequence[int],
) -> Shortfall:
    """Return what a layer lacks on some of the samples, at some positions."""
    layer = step.layer
    gathered = Shortfall(layer)
    weight = layer.matrix(layer.weight)
    bias = 0 if layer.bias is None else layer.bias.reshape(layer.groups, -1, 1)
    inputs = student.values(layer.x)
    size = layer.groups * layer.width * len(places(samples[0])) * 4
    is_large = size * _BATCH > most_bytes or step.gives_scores  # many positions of some
    batch = 1 if is_large else _BATCH
    for start in range(0, len(samples), batch):
        columns, results = [], []
        for index in samples[start : start + batch]:
            at = places(index)
            columns.append(layer.columns(inputs[index], at))
            target = targets[index][:, :, at] if step.gives_scores else targets[index]
            if step.other:
                target = target - _results(layer, student.values(step.other)[index], at)
            results.append(target)
        x = np.concatenate(columns, axis=2)
        gathered.add(np.concatenate(results, axis=2) - (weight @ x + bias), x)
    return gathered


def _places(step: RefitStep, results: SpooledArrays, seed: int) -> Callable[[int], Array]:
    """Return what gives the flat positions of a sample, by its index, at which a layer is fitted.

    ``results`` are the float network's, of a layer of scores at all positions.
    """
    if not step.gives_scores:
        return partial(_place, step, seed)
    random = np.random.default_rng([seed, step.position])
    return positions_by_score(results, random).__getitem__


def _place(step: RefitStep, seed: int, index: int) -> Array:
    """Return the positions of a layer without scores: the same at any time."""
    random = np.random.default_rng([seed, step.position, index])
    return some_positions(step.layer, random, step.few_positions)


def _results(layer: WeightedLayer, y: Array, at: Array) -> Array:
    """Return results at flat positions, (groups, outputs of a group, positions)."""
    if layer.node.op_type in ("Gemm", "MatMul"):
        flat = y.reshape(-1, y.shape[-1])[at].T
    else:
        flat = y[0].reshape(y.shape[1], -1)[:, at]
    return flat.reshape(layer.groups, -1, len(at))
