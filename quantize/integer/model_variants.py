"""What a method works on: the model as it is, or the model with equalized channels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import numpy as np
from onnx import ModelProto

from ...core.graphs.graph import Graph
from ...core.types import Float64
from ..graph_parts.placement import QdqPlacement, place
from ..graph_parts.quantizable import require_quantizable
from ..graph_parts.weighted_layers import WeightedLayer, layers_of
from ..methods import find_method
from ..statistics.calibration import Calibration
from ..statistics.sample_subset import SampleSubset
from ..statistics.tensor_statistics import TensorStatistics, collect_statistics
from .apply_method import CalibratedModel, IntegerFormat
from .equalize import Pair, equalized, matrix_of, pairs_of


def uncalibrated(task: Calibration, number_format: IntegerFormat) -> CalibratedModel:
    """Return the model for the methods of a task, without statistics yet. Raises ModelError."""
    graph = Graph(task.model)
    placement = place(graph)
    require_quantizable(task.model, placement.weights)
    layers = layers_of(graph, placement)
    needs_moments = any(find_method(name).needs_moments for name in task.methods)
    return CalibratedModel(
        task.model,
        graph,
        placement,
        layers,
        placement.same_as,
        number_format,
        SampleSubset(task.folder / "few"),
        _collector(task, task.model, placement, layers if needs_moments else ()),
    )


def _collector(
    task: Calibration, model: ModelProto, placement: QdqPlacement, layers: tuple[WeightedLayer, ...]
) -> Callable[..., TensorStatistics]:
    return partial(
        collect_statistics,
        model,
        [name for name in placement.tensors if name not in placement.same_as],
        layers,
        seed=task.seed,
        progress=task.progress,
        total=len(task.samples),
    )


def equalized_model(
    calibrated: CalibratedModel, factors: Mapping[str, tuple[float, ...]], task: Calibration
) -> CalibratedModel:
    """Return the model with equalized channels, and its statistics.

    Only the tensors between the layers of a pair have to be observed again. All other values are as
    they were, and the moments of what the second layers read are divided by the factors. The two
    models share the rest, so only one of them may be observed on further samples.
    """
    if not factors:
        return calibrated
    scaled = equalized(calibrated.model, factors)
    graph = Graph(scaled)
    placement = place(graph)
    layers = layers_of(graph, placement)
    pairs = [pair for pair in pairs_of(calibrated.graph) if pair.between in factors]
    before = calibrated.statistics
    changed = [
        name
        for pair in pairs
        for name in dict.fromkeys((pair.first.output[0], pair.between))
        if name in before.histograms
    ]
    histograms = collect_statistics(
        scaled,
        changed,
        (),
        task.samples,
        progress=task.progress,
        activity="equalize",
        total=len(task.samples),
    ).histograms
    moments = dict(before.moments)
    for pair in pairs:
        name = pair.second.output[0]
        if name in moments:
            divisors = np.asarray(factors[pair.between], np.float64)
            moments[name] = moments[name].divided(_for_rows(graph, pair, divisors))
    reshaped = {node.output[0] for pair in pairs for node in (pair.first, pair.second)}
    return replace(
        calibrated,
        model=scaled,
        graph=graph,
        placement=placement,
        layers=layers,
        collect=_collector(task, scaled, placement, layers if moments else ()),
        statistics=TensorStatistics(before.count, {**before.histograms, **histograms}, moments),
        factors=factors,
        rounded={
            rounding: {name: layer for name, layer in rounded.items() if name not in reshaped}
            for rounding, rounded in calibrated.rounded.items()
        },
    )


def _for_rows(graph: Graph, pair: Pair, channels: Float64) -> Float64:
    """Return (groups, width): for every input of the second layer's product its channel's value."""
    groups, _, inputs, taps = matrix_of(pair.second, graph.weights[pair.second.input[1]]).shape
    return np.repeat(channels.reshape(groups, inputs), taps, axis=1)
