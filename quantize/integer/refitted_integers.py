"""The integers of layers that are first refitted to the float network's results, in graph order.

Each on inputs as the quantized network gives them, their rounding included. To a least-squares fit
that rounding is noise on the inputs, whose weights it makes smaller where they carry more of it
than they tell; the means that it moves the bias makes up for.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from onnx import numpy_helper

from ...core.graphs.graph import Graph
from ...core.graphs.score_branches import score_layers
from ...core.graphs.sparsity import sparse_axis
from ...core.progress import SILENT, Progress
from ...core.streaming.layerwise import LayerwiseExecutor
from ...core.trim_heap import trim_heap
from ...core.types import Array, Feeds, Float64
from ..graph_parts.weighted_layers import WeightedLayer
from ..methods import NEAREST, QuantizationMethod
from ..rendering.layer_refit import RefitStep, refit_layers, refit_steps
from ..rendering.plan import Plan
from ..rendering.qdq import bias_integers, computing_nodes, insert_qdq
from ..rendering.rounding import Rounded, rounded_layers
from ..rendering.shortfall import Pull, Shortfall
from ..statistics.tensor_statistics import FEW_POSITIONS
from ..trials.unrounded_insides import with_unrounded_insides

# With 8 bits little is to be gained, so that little may be lost. EfficientNet-Lite0, refitted on 24
# samples, had 25.4 dB with a pull that is chosen on 6 of them, 22.3 with 0.3, and 25.4 without.
# Twice as many pulls to choose among made no difference on four networks.
_IN_MEMORY = 1 << 20  # bytes of a tensor
_AT_ONCE = 16 << 20  # bytes of a layer's inputs that are multiplied
_PULL = Pull((0.01, 0.1, 1.0, 10.0), least_held_out=4, otherwise=10.0)


def refitted_integers(
    graph: Graph,
    plan: Plan,
    layers: Sequence[WeightedLayer],
    others: Mapping[str, Rounded],
    samples: Iterable[Feeds],
    method: QuantizationMethod,
    *,
    logits: Collection[str] = (),
    seed: int,
    progress: Progress = SILENT,
) -> dict[str, Rounded]:
    """Return layer name -> its integers, for the activations of a plan.

    The float and the quantized network run side by side on the ``samples``, which are read once.
    What the NPU does not round inside functions is not rounded here either. Of a sparse weight,
    whose zeros stay, only the bias is refitted. The ``others`` stay as they are rounded. ``logits``
    are the outputs that a Sigmoid reads on the host. Raises SamplesError when there are no samples.
    """
    start = rounded_layers(layers, plan.activations, {}, replace(method, rounding=NEAREST))
    rounded = {**start, **others}
    student = _QuantizedStudent(graph, plan, rounded)
    originals = {layer.name: layer for layer in layers}

    def put(step: RefitStep, shortfall: Shortfall, matrix: Float64) -> None:
        before = originals[step.layer.name]
        layer = replace(before, bias=step.layer.bias)
        if sparse_axis(layer.node, layer.weight) is None:
            layer = replace(layer, weight=layer.weight_like(matrix).astype(np.float32))
        if layer.bias is not None:
            lost = before.matrix(before.weight) - layer.matrix(layer.weight)
            bias = layer.bias + shortfall.lost_mean(lost)
            layer = replace(layer, bias=bias.astype(np.float32))
        inputs = {layer.name: shortfall.moments}
        rounded.update(rounded_layers([layer], plan.activations, inputs, method))
        student.put(layer, rounded[layer.name])

    scores = score_layers(graph, logits)
    steps = [student.step(step) for step in refit_steps(graph, layers, FEW_POSITIONS, scores)]
    run = LayerwiseExecutor(student.model, samples, optimise=False, in_memory=_IN_MEMORY)
    refit_layers(
        steps,
        graph.model,
        run,
        put,
        pull=_PULL,
        most_bytes=_AT_ONCE,
        seed=seed,
        progress=progress,
    )
    del run
    trim_heap()
    return rounded


class _QuantizedStudent:
    """The quantized network as the NPU computes it, whose layers change one after the other."""

    def __init__(self, graph: Graph, plan: Plan, rounded: Mapping[str, Rounded]) -> None:
        self.model = with_unrounded_insides(insert_qdq(graph.model, plan, rounded))
        self._graph, self._plan = graph, plan
        self._tensors = {tensor.name: tensor for tensor in self.model.graph.initializer}
        nodes = self.model.graph.node
        self._places = {name: place for place, node in enumerate(nodes) for name in node.output}
        pairs = computing_nodes(graph.model, self.model)
        self._nodes = {node.output[0]: other for node, other in pairs if node.output}

    def step(self, step: RefitStep) -> RefitStep:
        """Return a step by the names of this network; a layer without a bias here has none."""
        layer, node, other = step.layer, self._nodes[step.layer.name], step.other
        if other:
            summands = list(self._graph.producers[step.target].input)
            other = self._nodes[step.target].input[summands.index(other)]
        has_bias = len(node.input) > 2 and bool(node.input[2])
        return replace(
            step,
            layer=replace(layer, x=node.input[0], bias=layer.bias if has_bias else None),
            position=self._places[node.input[1]],  # where its weight is dequantized
            other=other,
        )

    def put(self, layer: WeightedLayer, rounded: Rounded) -> None:
        """Give a layer other integers."""
        node, scale = self._nodes[layer.name], self._plan.activations[layer.x].scale
        self._put(node.input[1], rounded.steps, rounded.scales)
        if rounded.bias is None:
            return
        if self._plan.symmetric:
            self._write(node.input[2], np.asarray(rounded.bias, np.float32))
        else:
            self._put(node.input[2], *bias_integers(rounded.bias, scale, rounded.scales))

    def _put(self, dequantized: str, steps: Array, scales: Array) -> None:
        node = self.model.graph.node[self._places[dequantized]]
        for name, value in zip(node.input, (steps, scales), strict=False):
            self._write(name, value)

    def _write(self, name: str, value: Array) -> None:
        self._tensors[name].CopyFrom(numpy_helper.from_array(value, name))
