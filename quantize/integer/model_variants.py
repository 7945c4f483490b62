"""What each method works on: the model as it is, or the model with equalized channels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial

import numpy as np
from onnx import ModelProto

from ...core.graphs.graph import Graph
from ...core.types import Feeds, Float64
from ..graph_parts.placement import Placement, place
from ..graph_parts.quantizable import require_quantizable
from ..graph_parts.weighted_layers import Layer, layers_of
from ..methods.method_table import METHODS
from ..statistics.few_samples import FewSamples
from ..statistics.tensor_statistics import Observed, observe
from .apply_method import Progress, Subject
from .equalize import Pair, equalization, equalized, matrix_of, pairs_of


def subject_of(
    model: ModelProto,
    names: Iterable[str],
    few: FewSamples,
    seed: int,
    on_progress: Progress,
) -> Subject:
    """What the methods of these names are to work on, nothing seen of it yet."""
    graph = Graph(model)
    placement = place(graph)
    require_quantizable(model, placement.weights)
    layers = layers_of(graph, placement)
    wants_moments = any(METHODS[name] != METHODS["min-max"] for name in names)
    observer = _observer(model, placement, layers if wants_moments else (), seed, on_progress)
    return Subject(model, graph, placement, layers, placement.same_as, few, observer)


def _observer(
    model: ModelProto,
    placement: Placement,
    layers: tuple[Layer, ...],
    seed: int,
    on_progress: Progress,
) -> Callable[..., Observed]:
    return partial(
        observe,
        model,
        [name for name in placement.tensors if name not in placement.same_as],
        layers,
        seed=seed,
        on_progress=lambda done: on_progress("calibrate", done, None),
    )


class Ways:
    """The subject as it is, and equalized, which is made when a method needs it."""

    def __init__(
        self,
        subject: Subject,
        names: tuple[str, ...],
        samples: Iterable[Feeds],
        seed: int,
        on_progress: Progress,
    ) -> None:
        self._subject = subject
        self._samples = samples
        self._seed = seed
        self._on_progress = on_progress
        self._is_named = len(names) == 1  # a method that was named is not asked whether it pays
        self._equalized: Subject | None = None

    def subject(self, method: str) -> Subject:
        """What the method of this name works on."""
        if not METHODS[method].equalized:
            return self._subject
        if self._equalized is None:
            least = {"least_db": 0.0} if self._is_named else {}
            factors = equalization(self._subject.model, self._subject.few, **least)
            self._equalized = equalized_subject(
                self._subject, factors, self._samples, self._seed, self._on_progress
            )
        return self._equalized

    def changes(self, method: str) -> bool:
        """Whether the method does anything on this model that the others do not."""
        return not METHODS[method].equalized or bool(self.subject(method).factors)


def equalized_subject(
    subject: Subject,
    factors: Mapping[str, tuple[float, ...]],
    samples: Iterable[Feeds],
    seed: int,
    on_progress: Progress,
) -> Subject:
    """The subject with equalized channels, and with what is known of it.

    Only the tensors between the layers of a pair have to be seen again. All other values are as
    they were, and the moments of what the second layers read are divided by the factors. The two
    subjects share the rest, so only one of them may be observed on further samples.
    """
    if not factors:
        return subject
    scaled = equalized(subject.model, factors)
    graph = Graph(scaled)
    placement = place(graph)
    layers = layers_of(graph, placement)
    pairs = [pair for pair in pairs_of(subject.graph) if pair.between in factors]
    observed = subject.observed
    again = [
        name
        for pair in pairs
        for name in dict.fromkeys((pair.first.output[0], pair.between))
        if name in observed.histograms
    ]
    histograms = observe(
        scaled, again, (), samples, on_progress=lambda done: on_progress("equalize", done, None)
    ).histograms
    moments = dict(observed.moments)
    for pair in pairs:
        name = pair.second.output[0]
        if name in moments:
            divisors = np.asarray(factors[pair.between], np.float64)
            moments[name] = moments[name].divided(_for_rows(graph, pair, divisors))
    changed = {node.output[0] for pair in pairs for node in (pair.first, pair.second)}
    observer = _observer(scaled, placement, layers if moments else (), seed, on_progress)
    return replace(
        subject,
        model=scaled,
        graph=graph,
        placement=placement,
        layers=layers,
        observer=observer,
        observed=Observed(observed.count, {**observed.histograms, **histograms}, moments),
        factors=factors,
        known={
            rounding: {name: one for name, one in found.items() if name not in changed}
            for rounding, found in subject.known.items()
        },
    )


def _for_rows(graph: Graph, pair: Pair, channels: Float64) -> Float64:
    """(groups, width): of every input of the second layer's product, its channel's factor."""
    groups, _, inputs, taps = matrix_of(pair.second, graph.weights[pair.second.input[1]]).shape
    return np.repeat(channels.reshape(groups, inputs), taps, axis=1)
