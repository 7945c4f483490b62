"""One quantized model of the many that are compared: by one method, some tensors in float."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from onnx import ModelProto

from ...core.graphs.graph import Graph
from ...core.scratch import scratch_folder
from ...core.trim_heap import trim_heap
from ...core.types import Feeds
from ..graph_parts.placement import Placement, left_in_float, place, weight_axis
from ..graph_parts.weighted_layers import Layer, layers_of
from ..numeric.histogram import Histogram
from ..numeric.range_methods import RANGE_METHODS
from ..numeric.scales import activation_scale, symmetric_scale
from ..rendering.plan import Activation, Plan, Weight
from ..rendering.qdq import render
from ..rendering.rounding import Rounded, Rounding, rounded_layers
from ..statistics.few_samples import FewSamples
from ..statistics.tensor_statistics import NOTHING_SEEN, Observed
from .method_table import METHODS, Method
from .sequential import sequential_biases

Progress = Callable[[str, int, int | None], None]


@dataclass(frozen=True)
class Subject:
    """A model that is being quantized, and what is known of it.

    ``factors`` are those by which its channels were equalized. ``observer`` adds what it sees on
    samples to ``observed``. ``scheme`` is w8a8 or w8a16; with ``symmetric`` the zero points of w8a8
    are 0 too.
    """

    model: ModelProto
    graph: Graph
    placement: Placement
    layers: tuple[Layer, ...]
    moved: Mapping[str, str]  # tensor -> the one that it was only moved from
    few: FewSamples
    observer: Callable[..., Observed]
    observed: Observed = NOTHING_SEEN
    factors: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    known: dict[Rounding, dict[str, Rounded]] = field(default_factory=dict)
    scheme: str = "w8a8"
    symmetric: bool = False

    def having_seen(self, samples: Iterable[Feeds]) -> Subject:
        """The same once it was observed on these samples too."""
        before = self.observed if self.observed.count else None
        return replace(self, observed=self.observer(samples, before=before), known={})


def quantized(
    subject: Subject, name: str, floating: tuple[str, ...] = (), wide: str = "float16"
) -> tuple[Plan, ModelProto]:
    """The model quantized by one method, with what it learnt left in ``subject.known``.

    The tensors named by ``floating`` get the type ``wide``. With int16 all weights are rounded to
    nearest, biases uncorrected: what takes int16 to the chip rounds the weights itself.
    """
    method = METHODS[name]
    if floating and wide == "int16":
        method = Method(method.ranges, correct_bias=False, equalized=method.equalized)
    if floating:
        placement = place(subject.graph, floating)
        layers = layers_of(subject.graph, placement)
        subject = replace(subject, placement=placement, layers=layers)
    activations = _activations(subject, method.ranges)
    rounded = rounded_layers(
        subject.layers,
        activations,
        subject.observed.moments,
        rounding=method.rounding,
        correct_bias=method.correct_bias,
        known=subject.known.get(method.rounding),
    )
    trim_heap()
    subject.known.setdefault(method.rounding, rounded)
    plan = Plan(
        subject.scheme,
        subject.observed.count,
        {**activations, **_left_out(subject, method.ranges, floating, wide)},
        _weights(subject.graph, subject.placement, method),
        left_in_float(subject.graph, subject.placement),
        name,
        equalization=dict(subject.factors),
        symmetric=subject.symmetric,
    )
    if method.sequential:
        with scratch_folder() as folder:
            rounded = sequential_biases(
                subject.model, plan, rounded, subject.layers, subject.few, folder
            )
    return plan, render(subject.model, plan, rounded)


def _activations(subject: Subject, method: str) -> dict[str, Activation]:
    """Scales from ranges, one a tensor. Moved values have the scale of what they came from."""
    activations: dict[str, Activation] = {}
    placement, histograms = subject.placement, subject.observed.histograms
    for name in placement.tensors:
        origin = placement.same_as.get(name, name)
        if origin in activations:
            activations[name] = replace(activations[origin], source=f"as {origin}")
        else:
            activations[name] = _quantized_activation(subject, histograms[origin], method)
    return activations


def _quantized_activation(subject: Subject, histogram: Histogram, method: str) -> Activation:
    one = _activation(histogram, method)
    if subject.scheme == "w8a16":
        scale, zero_point = symmetric_scale(one.low, one.high, 16)
        return replace(one, dtype="int16", scale=scale, zero_point=zero_point)
    if subject.symmetric:
        scale, zero_point = symmetric_scale(one.low, one.high, 8)
        return replace(one, scale=scale, zero_point=zero_point)
    return one


def _activation(histogram: Histogram, method: str, dtype: str = "int8") -> Activation:
    low, high = RANGE_METHODS[method](histogram)
    scale, zero_point = activation_scale(low, high)
    return Activation(dtype, low, high, scale, zero_point, method)


def _left_out(
    subject: Subject, method: str, floating: tuple[str, ...], wide: str
) -> dict[str, Activation]:
    """The tensors that mixed precision leaves in 16 bits, with the ranges that they have."""
    seen, moved = subject.observed.histograms, subject.moved
    found = {}
    for name in floating:
        one = _activation(seen[moved.get(name, name)], method, wide)
        found[name] = replace(one, source=f"as {moved[name]}") if name in moved else one
    return found


def _weights(graph: Graph, placement: Placement, method: Method) -> dict[str, Weight]:
    weights = {}
    for node in placement.weights:
        axis = weight_axis(graph, node)
        channels = graph.shapes[node.input[1]][axis]
        weights[node.input[1]] = Weight("int8", axis, channels, method.rounding)
    return weights
