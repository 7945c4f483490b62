"""Ranges of what becomes a probability: not only what few samples happened to reach.

In most images nothing is found, so the logits of a detector hardly ever exceed 0 in a calibration
set. A range that ends there caps every score at 0.5. Beyond 5 a score is 0.993 or more, and 12 and
more below 0 it is nothing, so steps are taken from there. What such logits alone are computed from
has to go on as far as they.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping

from ...core.graphs.graph import Graph
from ...core.graphs.joins import last_readers
from ...core.graphs.score_branches import score_branches
from ...core.types import Range

_SURE, _NOTHING = 5.0, 12.0
# of the range that was seen: by so much it is taken to go on
_MARGIN = 1 / 3
_SIGMOID, _SOFTMAX = {"Sigmoid"}, {"Softmax"}
_BOUNDED = {"Clip", "Sigmoid", "HardSigmoid", "Tanh", "Softmax"}
_LOGITS, _SCORES, _BRANCH = "logits of Sigmoid", "scores of Softmax", "before logits of Sigmoid"


def logit_range(chosen: Range, seen: Range) -> Range:
    """Return the range of what only a Sigmoid reads, from a method's choice and what was seen.

    >>> logit_range((-14.0, 0.0), (-15.0, 0.0)), logit_range((-0.03, 0.06), (-0.03, 0.06))
    ((-12.0, 5.0), (-0.03, 0.09))
    """
    high = max(seen[1], min(_SURE, seen[1] + (seen[1] - seen[0]) * _MARGIN))
    return max(chosen[0], min(-_NOTHING, high - _NOTHING)), high


def sigmoid(value: float) -> float:
    """Return the Sigmoid of a number, whatever its size."""
    return 1 / (1 + math.exp(-max(value, -700.0)))


class ProbabilityRanges:
    """The ranges of tensors that only a Sigmoid, or only a Softmax, reads in the end, and theirs.

    ``seen`` maps tensor -> the range of its values, ``origins`` moved tensor -> the one whose scale
    it has; the outputs named by ``logits`` are read by a Sigmoid on the host.
    """

    def __init__(
        self,
        graph: Graph,
        seen: Mapping[str, Range],
        origins: Mapping[str, str],
        logits: Collection[str] = (),
    ) -> None:
        self._graph = graph
        self._seen = seen
        self._origins = origins
        self._logits = logits
        self._branches = score_branches(graph, self._is_open, logits)

    def adjusted(self, name: str, source: str, chosen: Range) -> tuple[str, Range]:
        """Return what a range comes from, and the range: as ``chosen`` by the method ``source``.

        That holds unless the tensor becomes a probability or is one.
        """
        readers, (_, most) = self._readers(name), self._seen[name]
        if readers == _SIGMOID:
            return f"{source}, {_LOGITS}", logit_range(chosen, self._seen[name])
        if readers == _SOFTMAX and chosen[1] < most:
            return f"{source}, {_SCORES}", (chosen[0], most)
        certain = self._score_of(name)
        if certain > chosen[1]:
            return f"{source}, of {_LOGITS}", (chosen[0], certain)
        if name in self._branches and chosen[1] < (further := self._further(name)):
            return f"{source}, {_BRANCH}", (chosen[0], further)
        return source, chosen

    def _further(self, name: str) -> float:
        """Return how far a tensor may go, of which so much was seen."""
        _, most = self._seen[name]
        node = self._graph.producers.get(name)
        is_bounded = node is not None and node.op_type in _BOUNDED
        return most if is_bounded else most * (1 + _MARGIN)

    def _is_open(self, logits: str) -> bool:
        """Return whether no logit was seen that is a sure score."""
        seen = self._seen.get(self._origins.get(logits, logits))
        return seen is None or seen[1] < _SURE

    def _score_of(self, name: str) -> float:
        """Return the highest score of the logits that a Sigmoid makes this of; else 0."""
        node = self._graph.producers.get(name)
        if node is None or node.op_type != "Sigmoid":
            return 0.0
        logits = self._origins.get(node.input[0], node.input[0])
        if logits not in self._seen or self._readers(logits) != _SIGMOID:
            return 0.0
        return sigmoid(logit_range(self._seen[logits], self._seen[logits])[1])

    def _readers(self, name: str) -> set[str]:
        """Return the types of what reads a tensor in the end."""
        return set(last_readers(self._graph, name, self._logits))
