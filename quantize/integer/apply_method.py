"""One quantized model of the many that are compared: by one method, some tensors in 16 bits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache

from onnx import ModelProto

from ...core.graphs.graph import Graph
from ...core.trim_heap import trim_heap
from ...core.types import Feeds, Range
from ..graph_parts.placement import QdqPlacement, left_in_float, place
from ..graph_parts.weighted_layers import WeightedLayer, layers_from
from ..methods import NEAREST, find_method
from ..numeric.scales import activation_scale
from ..rendering.plan import Activation, Plan, Weight
from ..rendering.qdq import insert_qdq
from ..rendering.rounding import Rounded, rounded_layers
from ..statistics.calibration import Calibration, SampleSubset
from ..statistics.tensor_statistics import NO_STATISTICS, TensorStatistics, collect_statistics
from .sequential_bias import sequential_biases


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
    """

    task: Calibration
    format: IntegerFormat
    graph: Graph
    placement: QdqPlacement
    layers: tuple[WeightedLayer, ...]
    subset: SampleSubset
    statistics: TensorStatistics = NO_STATISTICS
    factors: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    rounded: dict[str, dict[str, Rounded]] = field(default_factory=dict)

    def observed_on(self, samples: Iterable[Feeds]) -> CalibratedModel:
        """Return the same with the statistics of these samples added."""
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
            total=len(task.samples),
        )
        return replace(self, statistics=statistics, rounded={})


def apply_method(
    calibrated: CalibratedModel,
    name: str,
    high_precision: tuple[str, ...] = (),
    dtype: str = "float16",
) -> tuple[Plan, ModelProto]:
    """Return the plan and the model quantized by one method; notes how the layers were rounded.

    The tensors named by ``high_precision`` get the type ``dtype``. With int16 all weights are
    rounded to nearest, biases uncorrected: what takes int16 to the chip rounds the weights itself.
    """
    method, graph, statistics = find_method(name), calibrated.graph, calibrated.statistics
    whole = placement = calibrated.placement
    layers = calibrated.layers
    if high_precision:
        placement = place(graph, high_precision)
        layers = layers_from(graph, placement.weights)
    if high_precision and dtype == "int16":
        method = replace(method, rounding=NEAREST, correct_bias=False, sequential=False)

    histograms, ranges = statistics.histograms, method.ranges
    range_of = cache(lambda tensor: (ranges.name, ranges.choose(histograms[tensor])))
    activations = _activations(placement.tensors, placement.same_as, range_of, calibrated.format)
    rounded = rounded_layers(
        layers,
        activations,
        statistics.moments,
        method,
        calibrated.rounded.get(method.rounding.name),
    )
    trim_heap()
    calibrated.rounded.setdefault(method.rounding.name, rounded)
    wide = replace(calibrated.format, dtype=dtype, scale=activation_scale)
    plan = Plan(
        scheme=calibrated.format.scheme,
        samples=statistics.count,
        activations=activations | _activations(high_precision, whole.same_as, range_of, wide),
        weights={
            layer.weight_name: Weight("int8", layer.axis, layer.channels, method.rounding.name)
            for layer in layers
        },
        float_operators=left_in_float(graph, placement),
        method=name,
        equalization=dict(calibrated.factors),
        symmetric=calibrated.task.symmetric,
    )
    if method.sequential:
        rounded = sequential_biases(graph.model, plan, rounded, layers, calibrated.subset)
    return plan, insert_qdq(graph.model, plan, rounded)


def _activations(
    tensors: Iterable[str],
    origins: Mapping[str, str],
    range_of: Callable[[str], tuple[str, Range]],
    integers: IntegerFormat,
) -> dict[str, Activation]:
    """Return scales from ranges, one a tensor; moved values have the scale of their origin."""
    activations = {}
    for name in tensors:
        origin = origins.get(name, name)
        source, (low, high) = range_of(origin)
        scale, zero_point = integers.scale(low, high)
        source = source if origin == name else f"as {origin}"
        activations[name] = Activation(integers.dtype, low, high, scale, zero_point, source)
    return activations
