"""The range of every activation: as a method chooses it, within what its readers make of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import cache

from ...core.graphs.graph import Graph
from ...core.types import Range
from ..graph_parts.probability_ranges import ProbabilityRanges
from ..graph_parts.saturating_readers import counting_range
from ..methods import RangeMethod
from ..numeric.histogram import Histogram


class ChosenRanges:
    """The ranges that a method chooses from the histograms of a graph's tensors.

    ``origins`` maps moved tensor -> the one whose scale it has; the outputs named by ``logits`` are
    read by a Sigmoid on the host.
    """

    def __init__(
        self,
        graph: Graph,
        histograms: Mapping[str, Histogram],
        method: RangeMethod,
        origins: Mapping[str, str],
        logits: Collection[str] = (),
    ) -> None:
        self._graph, self._histograms, self._method = graph, histograms, method
        seen = {name: (histogram.low, histogram.high) for name, histogram in histograms.items()}
        self._probabilities = ProbabilityRanges(graph, seen, origins, logits)

    def of_dtype(self, dtype: str) -> Callable[[str], tuple[str, Range]]:
        """Return tensor -> where its range comes from, and the range.

        In int8 it is that of the values that count, see counting_range; 16 bits have steps enough.
        """

        def range_of(tensor: str) -> tuple[str, Range]:
            histogram, source = self._histograms[tensor], self._method.name
            if dtype == "int8":
                histogram = histogram.within(*counting_range(self._graph, tensor))
                source += "" if histogram is self._histograms[tensor] else ", where it counts"
            return self._probabilities.adjusted(tensor, source, self._method.choose(histogram))

        return cache(range_of)
