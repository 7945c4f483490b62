"""The error of the model's outputs when one group alone is cut, measured on some samples.

A block that can be removed is such a group.

The groups are tried in the order of the graph: what comes before the first weight that a group
takes part in is run once, and only the rest of the model once for each trial.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from onnx import ModelProto

from ...core.graphs.dense import DenseLayer, tied_layers
from ...core.session import Session, joined
from ...core.streaming.layerwise import LayerwiseExecutor
from ...core.streaming.moments import Moments
from ...core.types import Array, Feeds, Float64
from ..channels.dependency_graph import DependencyGraph
from ..channels.groups import Group
from ..channels.surgery import without_shapes
from ..repair.least_squares import solve
from ..repair.refit import initializer, set_initializer
from ..repair.refit_tasks import KeptChannels
from .divergence import divergence, likeness

Outputs = dict[str, Array]


class Trials:
    """Trial cuts of one model; with ``statistics`` the readers are refitted in one shot.

    ``of_blocks`` has those of the layers that stand in for blocks, by the names of the blocks; see
    layer_moments.
    """

    def __init__(
        self,
        dependency: DependencyGraph,
        samples: Iterable[Feeds],
        statistics: Mapping[str, tuple[DenseLayer, Moments]],
        of_blocks: Mapping[str, tuple[DenseLayer, Moments]],
    ) -> None:
        self._dependency = dependency
        readers = dependency.graph.consumers
        # in one shot a weight that several layers share stays as it is
        self._statistics = {
            name: layer for name, layer in statistics.items() if len(readers[name]) == 1
        }
        self._of_blocks = of_blocks
        self._walk = LayerwiseExecutor(dependency.graph.model, samples)
        self._begin = self._walk.fork(dependency.graph.model)
        self._reference = self._outputs(self._walk.rest(), self._walk)
        self._first_reader: dict[str, int] = {}
        self._producer: dict[str, int] = {}
        for index, node in enumerate(dependency.graph.nodes):
            for name in node.input:
                self._first_reader.setdefault(name, index)
            self._producer.update(dict.fromkeys(node.output, index))

    def start_of(self, group: Group) -> int:
        """Return the index of the first node that a cut of the group changes."""
        if block := self._dependency.block_of(group.roots):
            layer, _ = self._of_blocks.get(block.name, (None, None))
            return self._producer[layer.y if layer else block.source]
        readers = self._first_reader
        return min(readers[name] for name, _ in group.weight_axes if name in readers)

    def error(self, group: Group, dropped: Array) -> float:
        """Return the divergence of the outputs without some channels.

        ``dropped`` has their indices in the group; groups must come in the order of the graph.
        """
        removed = self._dependency.empty_mask()
        removed[group.roots[dropped]] = True
        self._walk.run_until(self.start_of(group))
        return divergence(*self._outputs_of_cut(self._walk, removed))

    def likeness(self, removed: Array) -> tuple[str, float]:
        """Return the likeness of the outputs when all these roots are removed: name and value."""
        return likeness(*self._outputs_of_cut(self._begin, removed))

    def _outputs_of_cut(
        self, walk: LayerwiseExecutor, removed: Array
    ) -> tuple[list[Array], list[Array]]:
        """Return the reference and the outputs of a cut model, for the outputs after the cut."""
        model = without_shapes(self._dependency, removed, walk.rest())
        self._refit(model, removed)
        outputs = self._outputs(model, walk)
        return [self._reference[name] for name in outputs], list(outputs.values())

    def _outputs(self, model: ModelProto, walk: LayerwiseExecutor) -> Outputs:
        session = Session(model)
        results = [session.run(feeds) for feeds in walk.feeds(session.input_names)]
        parts = zip(*results, strict=True)
        return dict(zip(session.output_names, map(joined, parts), strict=True))

    def _refit(self, model: ModelProto, removed: Array) -> None:
        weights = self._dependency.graph.weights
        blocks = {block.name for block in self._dependency.removed_blocks(removed)}
        of_blocks = (self._of_blocks[name] for name in blocks.intersection(self._of_blocks))
        stand_ins = {layer.weight: (layer, moments) for layer, moments in of_blocks}
        statistics = {**self._statistics, **stand_ins}
        for tensor in model.graph.initializer:
            if tensor.name in statistics:
                layer, moments = statistics[tensor.name]
                outputs, inputs = kept_masks(self._dependency, layer, removed)
                if tensor.name in stand_ins or not inputs.all():
                    start = layer.matrix(weights[layer.weight])[:, inputs]
                    part = moments.part(inputs)
                    matrix, bias = solve(part, start, has_bias=bool(layer.bias))
                    _store(model, layer, matrix[outputs], bias[outputs])


def kept_masks(
    dependency: DependencyGraph, layer: DenseLayer, removed: Array
) -> tuple[Array, Array]:
    """Return masks over the rows and over the columns of a layer's matrix, True for what stays."""
    masks = dependency.masks(layer.weight, removed)
    weight = dependency.graph.weights[layer.weight]
    outputs, inputs = masks[1 - layer.in_axis], masks[layer.in_axis]
    rows = layer.matrix(weight).shape[0] // outputs.size
    return outputs.repeat(rows), layer.columns(inputs, weight)


def kept_channels(dependency: DependencyGraph, removed: Array) -> dict[str, KeptChannels]:
    """Return weight name of every dense layer -> the rows and columns of its matrix that stay."""
    layers = (users[0] for users in tied_layers(dependency.graph))
    return {layer.weight: KeptChannels(*kept_masks(dependency, layer, removed)) for layer in layers}


def _store(model: ModelProto, layer: DenseLayer, matrix: Float64, bias: Float64) -> None:
    weight = initializer(model, layer.weight)
    set_initializer(model, layer.weight, layer.weight_like(matrix, weight))
    if layer.bias and layer.node.op_type != "ConvTranspose":
        like = initializer(model, layer.bias)
        set_initializer(model, layer.bias, bias.reshape(like.shape).astype(like.dtype))
