"""What there is to refit in a pruned model: layers, what stays of each, and what it should give."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ...core.graphs.dense import DenseLayer
from ...core.graphs.graph import Graph
from ...core.types import Array
from ..channels.model_diff import residual_sum


@dataclass(frozen=True)
class KeptChannels:
    """The rows (outputs) and columns (inputs) of a layer's matrix that stay, as boolean masks."""

    outputs: Array
    inputs: Array

    def after(self, first: KeptChannels) -> KeptChannels:
        """Return the same rows and columns as masks over the matrix before the cut ``first``."""
        outputs, inputs = first.outputs.copy(), first.inputs.copy()
        outputs[first.outputs], inputs[first.inputs] = self.outputs, self.inputs
        return KeptChannels(outputs, inputs)


@dataclass(frozen=True)
class RefitTask:
    """A layer to refit: it should give the tensor ``target``, less ``other`` where there is one.

    ``sharing`` are the other layers with the same weight; each should give its own result on its
    own input in the original, as theirs in the smaller model come later, or have not changed.
    """

    layer: DenseLayer
    channels: KeptChannels
    position: int
    target: str
    other: str
    sharing: tuple[DenseLayer, ...] = ()

    @property
    def teacher_tensors(self) -> list[str]:
        """Return the names of the tensors of the original that are needed."""
        return [self.target, *(name for layer in self.sharing for name in (layer.x, layer.y))]


def refit_task(graph: Graph, layer: DenseLayer, channels: KeptChannels) -> RefitTask:
    """Return the task of a layer: to give its own result, or that of the residual Add after it."""
    position = next(i for i, node in enumerate(graph.nodes) if layer.y in node.output)
    total, other = residual_sum(graph, layer)
    return RefitTask(layer, channels, position, total or layer.y, other)


def tied_task(
    graph: Graph, users: Sequence[DenseLayer], channels: KeptChannels, start: int
) -> RefitTask:
    """Return one task for all layers of a weight, at the first of them after the node ``start``."""
    tasks = [refit_task(graph, layer, channels) for layer in users]
    first = next(task for task in tasks if task.position >= start)
    return replace(first, sharing=tuple(task.layer for task in tasks if task is not first))
