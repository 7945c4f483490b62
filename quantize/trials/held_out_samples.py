"""Quantized models on trial: on samples that none of them has seen, against the float model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from onnx import ModelProto

from ...core.graphs.graph import Graph, attributes
from ...core.graphs.output_parts import parts_of
from ...core.progress import SILENT, Progress
from ...core.session import Session
from ...core.similarity import in_db, sqnr_db, sums_of
from ...core.streaming.layerwise import SpooledFeeds
from ...core.streaming.part_similarity import PartMeter
from ...core.streaming.tensor_stream import with_outputs
from ...core.trim_heap import trim_heap
from ...core.types import Array, Feeds
from .method_selection import MethodTrial, TaskMetric, mean_db
from .unrounded_insides import with_unrounded_insides

_PASSED = ("QuantizeLinear", "DequantizeLinear", "Identity")
_FEW = 6  # samples: enough to rank tensors by the error that they bring
_WORST_DB = -100.0  # an output that is broken altogether: finite, so that it can be added up


class HeldOut:
    """Samples that no method has seen, with what the float model makes of them, kept on disk.

    They are read, and the float model is run, only once, and one sample is in memory at a time.
    """

    def __init__(self, model: ModelProto, samples: Iterable[Feeds]) -> None:
        self._samples, self._reference = SpooledFeeds(), SpooledFeeds()
        session = _LogitSession(model)
        self._outputs, self._logits = session.outputs, session.logits
        self._parts = parts_of(model)
        self._joined = [part for part in self._parts if part.places is not None]
        self._energies = [0.0] * len(self._joined)
        for feeds in samples:
            self._samples.append({name: feeds[name] for name in session.input_names})
            self._reference.append(reference := session.run(feeds))
            for index, part in enumerate(self._joined):
                self._energies[index] += sums_of(*[part.of(reference[part.output_name])] * 2)[0]
        del session
        trim_heap()

    def __len__(self) -> int:
        return len(self._samples)

    def __iter__(self) -> Iterator[Feeds]:
        return iter(self._samples)

    def sqnr_db(self, candidate: ModelProto, *, most: int | None = None) -> float:
        """Return the SQNR in dB of the worst part of a model's outputs.

        Over the first ``most`` samples or all.
        """
        meter = PartMeter(self._parts)
        session = Session(with_unrounded_insides(candidate), keeps_scales=True)
        pairs = zip(self._samples, self._reference, strict=True)
        for feeds, reference in islice(pairs, most):
            meter.add([reference[name] for name in self._outputs], session.run(feeds))
        return meter.db

    def noise(self, candidate: ModelProto) -> float:
        """Return noise over signal of the worst part, on a few samples."""
        return float(10 ** (-max(self.sqnr_db(candidate, most=_FEW), _WORST_DB) / 10))

    def trial(
        self,
        candidate: ModelProto,
        metric: TaskMetric | None = None,
        progress: Progress = SILENT,
        earlier: int = 0,
        total: int | None = None,
    ) -> MethodTrial:
        """Return the SQNR as above, that of each sample's logits, and the metric's score of each.

        Of what was joined each part counts, by its noise over its signal in all samples: many an
        image shows nothing that a score could tell.
        ``progress`` counts the samples, ``total`` in all trials, from the ``earlier`` ones on.
        """
        meter, each_db, scores = PartMeter(self._parts), list[float](), list[float]()
        session = _LogitSession(with_unrounded_insides(candidate))
        pairs = zip(self._samples, self._reference, strict=True)
        for done, (feeds, reference) in enumerate(pairs):
            tensors = session.run(feeds)
            outputs = [tensors[name] for name in session.outputs]
            meter.add([reference[name] for name in self._outputs], outputs)
            each_db.append(self._sample_db(reference, tensors, session.logits))
            if metric is not None:
                scores.append(metric.score(done, outputs))
            progress.step("compare", earlier + done + 1, total)
        del session
        trim_heap()
        is_finite = all(figure.finite for figure in meter.figures)
        return MethodTrial(meter.db, tuple(each_db), tuple(scores), is_finite)

    def mean_db(self, tensors: Iterable[Feeds], logits: Sequence[Logits]) -> float:
        """Return the mean over the samples of the SQNR in dB by which candidates are judged.

        ``tensors`` are a candidate's outputs and ``logits`` of each sample, by name.
        """
        pairs = zip(self._reference, tensors, strict=True)
        return mean_db([self._sample_db(*pair, logits) for pair in pairs])

    def _sample_db(self, reference: Feeds, tensors: Feeds, logits: Sequence[Logits]) -> float:
        pair = _centred(self._logits, reference), _centred(logits, tensors)
        return min([sqnr_db(*pair), *self._joined_db(reference, tensors)])

    def _joined_db(self, reference: Feeds, tensors: Feeds) -> Iterator[float]:
        """Yield the SQNR of each part that was joined with others, in one sample."""
        for part, energy in zip(self._joined, self._energies, strict=True):
            pair = (part.of(values[part.output_name]) for values in (reference, tensors))
            yield in_db(energy / len(self), sums_of(*pair)[1])


@dataclass(frozen=True)
class Logits:
    """The ``tensor`` that an output is computed from, before a last Softmax or Sigmoid, or itself.

    There the error of every sample counts: where a Softmax is sure, hardly any error is left behind
    it, and where it is not, nearly all. Along ``axis``, if any, adding the same to all values
    changes nothing.
    """

    tensor: str
    axis: int | None = None

    def without_offset(self, values: Array) -> Array:
        """Return the values with their mean along the axis, if any, taken off."""
        return values if self.axis is None else values - values.mean(self.axis, keepdims=True)


def logits_of(model: ModelProto) -> tuple[Logits, ...]:
    """Return the logits of every output of a float model, or of its quantized form."""
    graph = Graph(model)
    return tuple(_before(graph, name) for name in graph.output_names)


def _before(graph: Graph, output: str) -> Logits:
    node = graph.producers.get(output)
    while node is not None and node.op_type in _PASSED:
        node = graph.producers.get(node.input[0])
    is_last = node is not None and node.op_type in ("Softmax", "Sigmoid")
    if node is None or not is_last or node.input[0] not in graph.producers:
        return Logits(output)
    axis = attributes(node).get("axis", -1) if node.op_type == "Softmax" else None
    return Logits(node.input[0], axis)


def _centred(logits: Iterable[Logits], tensors: Mapping[str, Array]) -> list[Array]:
    return [output.without_offset(tensors[output.tensor])[None] for output in logits]


class _LogitSession:
    """A session that gives the logits beside the outputs."""

    def __init__(self, model: ModelProto) -> None:
        self.outputs = [value.name for value in model.graph.output]
        self.logits = logits_of(model)
        inner = [output.tensor for output in self.logits if output.tensor not in self.outputs]
        self._session = Session(with_outputs(model, inner), keeps_scales=True)
        self._names = list(dict.fromkeys([*self.outputs, *inner]))
        self.input_names = self._session.input_names

    def run(self, feeds: Feeds) -> Feeds:
        """Return the outputs and the logits, by name."""
        return dict(zip(self._names, self._session.run(feeds, self._names), strict=True))
