"""The time of a model on the NPU as it is predicted, without a build, for searches to choose by."""

from __future__ import annotations

from collections.abc import Callable, Collection

from onnx import ModelProto

from ...convert.chips.targets import Target
from ...convert.predicted.predicted_table import LayerPredictor
from ...core.graphs.graph import Graph
from ...quantize.graph_parts.placement import place


def predicted_ms(target: Target, dtype: str) -> Callable[[ModelProto], float]:
    """Return what tells the milliseconds of a prepared float model in ``dtype``.

    In int8 that is with scales where rockpress puts them. The chip must have a latency fit.
    """

    def ms(model: ModelProto) -> float:
        graph = Graph(model)
        quantized = quantized_names(graph, target) if dtype == "int8" else None
        return LayerPredictor(graph, target).ms(dtype, quantized)

    return ms


def quantized_names(graph: Graph, target: Target, wide: Collection[str] = ()) -> set[str]:
    """Return the activations and weights with a scale, where ``wide`` are left without."""
    placement = place(graph, wide, has_float16=target.core.float16 is not None)
    return {*placement.tensors, *(node.input[1] for node in placement.weights)}


class PlannedTime:
    """The predicted milliseconds of float models of which some activations are in 16 bits."""

    def __init__(self, target: Target, toolkit: str | None) -> None:
        self._target, self._toolkit = target, toolkit
        self._graph: Graph | None = None
        self._predictor: LayerPredictor | None = None

    def __call__(self, graph: Graph, wide: Collection[str]) -> float:
        """Return the time; what does not depend on ``wide`` is kept from one call to the next."""
        if self._predictor is None or graph is not self._graph:
            self._graph, self._predictor = graph, LayerPredictor(graph, self._target)
        names = quantized_names(graph, self._target, wide)
        return self._predictor.ms("int8", names, self._toolkit)
