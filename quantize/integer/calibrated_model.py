"""A model that is to be quantized, calibrated, and the same with equalized channels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from ...core.graphs.graph import Graph
from ...core.trim_heap import trim_heap
from ...core.types import Feeds
from ..graph_parts.placement import QdqPlacement, place
from ..graph_parts.weighted_layers import WeightedLayer, layers_from, require_quantizable
from ..methods import find_method
from ..rendering.rounding import Rounded
from ..statistics.sample_subset import SampleSubset
from ..statistics.tensor_statistics import (
    NO_STATISTICS,
    Calibration,
    TensorStatistics,
    collect_statistics,
)
from .equalize import equalized, pairs_of


@dataclass(frozen=True)
class IntegerFormat:
    """A ``scheme``'s integers of activations: ``scale`` gives scale and zero point for a range."""

    scheme: str
    dtype: str
    scale: Callable[[float, float], tuple[float, int]]


@dataclass(frozen=True)
class CalibratedModel:
    """A model that is to be quantized to a format, and the statistics of its tensors.

    It is that of the ``task``, or the same with the channels of some tensors divided by
    ``factors``. ``rounded`` has the layers as they were rounded last, by the name of the rounding.
    The layers are refitted on ``refit_samples``, None where no method will do that.
    """

    task: Calibration
    format: IntegerFormat
    graph: Graph
    placement: QdqPlacement
    layers: tuple[WeightedLayer, ...]
    subset: SampleSubset
    refit_samples: SampleSubset | None = None
    statistics: TensorStatistics = NO_STATISTICS
    factors: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    rounded: dict[str, dict[str, Rounded]] = field(default_factory=dict)

    def observed_on(self, samples: Iterable[Feeds], count: int) -> CalibratedModel:
        """Return the same with the statistics of these samples added, ``count`` of them."""
        task, placement = self.task, self.placement
        needs_moments = any(find_method(name).needs_moments for name in task.methods)
        statistics = collect_statistics(
            self.graph.model,
            [name for name in placement.tensors if name not in placement.same_as],
            self.layers if needs_moments else (),
            samples,
            seed=task.seed,
            before=self.statistics,
            progress=task.progress,
            total=count,
        )
        return replace(self, statistics=statistics, rounded={})


def uncalibrated(task: Calibration, number_format: IntegerFormat) -> CalibratedModel:
    """Return the model for the methods of a task, without statistics yet. Raises ModelError."""
    graph = Graph(task.model)
    placement = place(graph, has_float16=task.has_float16)
    # where all is in int8, a GRU or an Einsum needs the scales of what it reads and makes
    parts = placement.weights if task.has_float16 else placement.tensors
    require_quantizable(task.model, parts, has_float16=task.has_float16)
    layers = layers_from(graph, placement.weights)
    return CalibratedModel(task, number_format, graph, placement, layers, SampleSubset())


def equalized_model(
    calibrated: CalibratedModel, factors: Mapping[str, tuple[float, ...]]
) -> CalibratedModel:
    """Return the model with equalized channels, and its statistics.

    Only the tensors between the layers of a pair have to be observed again. All other values are as
    they were, and the moments of what the second layers read are divided by the factors. The two
    models share the rest, so only one of them may be observed on further samples.
    """
    if not factors:
        return calibrated
    task, before = calibrated.task, calibrated.statistics
    model = equalized(task.model, factors)
    pairs = [pair for pair in pairs_of(calibrated.graph) if pair.between in factors]
    between = [name for pair in pairs for name in dict.fromkeys((pair.first.name, pair.between))]
    trim_heap()
    histograms = collect_statistics(
        model,
        [name for name in between if name in before.histograms],
        (),
        task.samples,
        progress=task.progress,
        activity="equalize",
        total=len(task.samples),
    ).histograms
    moments = dict(before.moments)
    for pair in pairs:
        if (name := pair.second.name) in moments:
            divisors = np.asarray(factors[pair.between], np.float64).reshape(pair.second.groups, -1)
            each = np.repeat(divisors, pair.second.width // divisors.shape[1], axis=1)
            moments[name] = moments[name].divided(each)
    graph = Graph(model)
    # what is equal is in memory once
    graph.weights.update(
        (name, values)
        for name, values in calibrated.graph.weights.items()
        if np.array_equal(values, graph.weights[name], equal_nan=values.dtype.kind == "f")
    )
    placement = place(graph, has_float16=task.has_float16)
    reshaped = {layer.name for pair in pairs for layer in (pair.first, pair.second)}
    return replace(
        calibrated,
        graph=graph,
        placement=placement,
        layers=layers_from(graph, placement.weights),
        statistics=TensorStatistics(before.count, {**before.histograms, **histograms}, moments),
        factors=factors,
        rounded={
            rounding: {name: layer for name, layer in rounded.items() if name not in reshaped}
            for rounding, rounded in calibrated.rounded.items()
        },
    )
