"""One quantized model of the many that are compared: by one method, some tensors in 16 bits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from onnx import ModelProto

from ...core.graphs.graph import Graph
from ...core.scratch import scratch_folder
from ...core.trim_heap import trim_heap
from ...core.types import Feeds
from ..graph_parts.placement import QdqPlacement, left_in_float, place, weight_axis
from ..graph_parts.weighted_layers import WeightedLayer, layers_of
from ..methods import NEAREST, QuantizationMethod, RangeMethod, find_method
from ..numeric.histogram import Histogram
from ..numeric.scales import activation_scale
from ..rendering.plan import Activation, Plan, Weight
from ..rendering.qdq import insert_qdq
from ..rendering.rounding import Rounded, rounded_layers
from ..statistics.sample_subset import SampleSubset
from ..statistics.tensor_statistics import NO_STATISTICS, TensorStatistics
from .sequential_bias import sequential_biases


@dataclass(frozen=True)
class IntegerFormat:
    """The integers of a ``scheme``'s activations.

    ``scale`` gives scale and zero point for a range. With ``symmetric`` zero points are 0 though
    they need not be.
    """

    scheme: str
    dtype: str
    scale: Callable[[float, float], tuple[float, int]]
    symmetric: bool = False


@dataclass(frozen=True)
class CalibratedModel:
    """A model that is to be quantized to a format, and the statistics of its tensors.

    ``factors`` are those by which its channels were equalized. ``origins`` maps a tensor to the one
    that it was only moved from. ``collect`` adds what it sees on samples to ``statistics``.
    ``rounded`` has the layers as they were rounded last, by the name of the rounding.
    """

    model: ModelProto
    graph: Graph
    placement: QdqPlacement
    layers: tuple[WeightedLayer, ...]
    origins: Mapping[str, str]
    format: IntegerFormat
    subset: SampleSubset
    collect: Callable[..., TensorStatistics]
    statistics: TensorStatistics = NO_STATISTICS
    factors: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    rounded: dict[str, dict[str, Rounded]] = field(default_factory=dict)

    def observed_on(self, samples: Iterable[Feeds]) -> CalibratedModel:
        """Return the same with the statistics of these samples added."""
        before = self.statistics if self.statistics.count else None
        return replace(self, statistics=self.collect(samples, before=before), rounded={})


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
    method = find_method(name)
    if high_precision and dtype == "int16":
        method = replace(method, rounding=NEAREST, correct_bias=False, sequential=False)
    if high_precision:
        placement = place(calibrated.graph, high_precision)
        layers = layers_of(calibrated.graph, placement)
        calibrated = replace(calibrated, placement=placement, layers=layers)
    activations = _activations(calibrated, method.ranges)
    rounded = rounded_layers(
        calibrated.layers,
        activations,
        calibrated.statistics.moments,
        rounding=method.rounding,
        correct_bias=method.correct_bias,
        before=calibrated.rounded.get(method.rounding.name),
    )
    trim_heap()
    calibrated.rounded.setdefault(method.rounding.name, rounded)
    plan = Plan(
        scheme=calibrated.format.scheme,
        samples=calibrated.statistics.count,
        activations={
            **activations,
            **_high_precision(calibrated, method.ranges, high_precision, dtype),
        },
        weights=_weights(calibrated.graph, calibrated.placement, method),
        float_operators=left_in_float(calibrated.graph, calibrated.placement),
        method=name,
        equalization=dict(calibrated.factors),
        symmetric=calibrated.format.symmetric,
    )
    if method.sequential:
        with scratch_folder() as folder:
            rounded = sequential_biases(
                calibrated.model, plan, rounded, calibrated.layers, calibrated.subset, folder
            )
    return plan, insert_qdq(calibrated.model, plan, rounded)


def _activations(calibrated: CalibratedModel, ranges: RangeMethod) -> dict[str, Activation]:
    """Return scales from ranges, one a tensor; moved values have the scale of their origin."""
    activations: dict[str, Activation] = {}
    placement, histograms = calibrated.placement, calibrated.statistics.histograms
    for name in placement.tensors:
        origin = placement.same_as.get(name, name)
        if origin in activations:
            activations[name] = replace(activations[origin], source=f"as {origin}")
        else:
            scale, dtype = calibrated.format.scale, calibrated.format.dtype
            activations[name] = _activation(histograms[origin], ranges, scale, dtype)
    return activations


def _activation(
    histogram: Histogram,
    ranges: RangeMethod,
    scale_of: Callable[[float, float], tuple[float, int]],
    dtype: str,
) -> Activation:
    low, high = ranges.choose(histogram)
    scale, zero_point = scale_of(low, high)
    return Activation(dtype, low, high, scale, zero_point, ranges.name)


def _high_precision(
    calibrated: CalibratedModel, ranges: RangeMethod, names: tuple[str, ...], dtype: str
) -> dict[str, Activation]:
    """Return the tensors that mixed precision leaves in 16 bits, with the ranges that they have."""
    histograms, origins = calibrated.statistics.histograms, calibrated.origins
    activations = {}
    for name in names:
        origin = origins.get(name, name)
        activation = _activation(histograms[origin], ranges, activation_scale, dtype)
        is_moved = name in origins
        activations[name] = replace(activation, source=f"as {origin}") if is_moved else activation
    return activations


def _weights(
    graph: Graph, placement: QdqPlacement, method: QuantizationMethod
) -> dict[str, Weight]:
    weights = {}
    for node in placement.weights:
        axis = weight_axis(graph, node)
        channels = graph.shapes[node.input[1]][axis]
        weights[node.input[1]] = Weight("int8", axis, channels, method.rounding.name)
    return weights
