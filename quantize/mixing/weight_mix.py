"""Mixed precision beside weights of few bits: which ones are worth the space of float16.

Activations are in float16 in any case, so it costs no conversions: only space, and the time to
read it. The error that each weight brings is measured on its own; those that bring most for
their size are left in float16 first.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence, Set

from onnx import ModelProto

from ...core.graphs.graph import Graph
from ...core.progress import SILENT, Progress
from ..graph_parts.placement import weighted_nodes
from ..graph_parts.weighted_layers import WeightedLayer
from ..rendering.plan import Tradeoff
from ..trials.held_out_samples import HeldOut
from .allowance import Allowance
from .mixed_budget import MixedPrecision, search

_INT8_BITS, _FLOAT16_BITS = 8, 16

# layers -> the float model in which the weights of these are rounded
Render = Callable[[Sequence[WeightedLayer]], ModelProto]


def mixed_weights(
    model: ModelProto,
    layers: Sequence[WeightedLayer],
    bits: int,
    render_alone: Render,
    render_together: Render,
    held_out: HeldOut,
    mixed: MixedPrecision,
    progress: Progress = SILENT,
) -> list[Tradeoff]:
    """Return choices of weights to leave in float16, each with its size and SQNR, smallest first.

    ``layers`` are those whose weights are rounded to ``bits`` otherwise; the ``model``'s other
    weights are float16 in any case. ``render_alone`` renders layers whose noise is measured, one
    weight's at a time, ``render_together`` those of a choice. Ends after ``mixed.seconds``, or so
    many choices, with what was measured.
    """
    half, whole = mixed.allowances()
    noise = _sensitivities(layers, render_alone, held_out, half, progress)
    sizes = WeightSizes(model, layers, bits)

    def sqnr_db(names: tuple[str, ...]) -> float:
        rounded = [layer for layer in layers if layer.weight_name not in names]
        return held_out.sqnr_db(render_together(rounded))

    choices = _growing_choices(noise, sizes, 1 + mixed.budget.most)
    return search(choices, sqnr_db, mixed.budget, whole, progress)


class WeightSizes:
    """Sizes of a model's weights, for any choice of those that are left in float16."""

    def __init__(self, model: ModelProto, layers: Sequence[WeightedLayer], bits: int) -> None:
        self.rounded = {layer.weight_name: layer.weight.size for layer in layers}
        self._bits = bits
        graph = Graph(model)
        in_int8 = {node.input[1] for node in weighted_nodes(graph)}
        self._sizes = {
            name: weight.size for name, weight in graph.weights.items() if weight.ndim > 1
        }
        self._int8 = self._bytes(in_int8, _INT8_BITS)

    def over_int8(self, floating: Sequence[str]) -> float:
        """Return the size of all weights, relative to that of the int8 model's."""
        return self._bytes(self.rounded.keys() - floating, self._bits) / self._int8

    def _bytes(self, narrow: Set[str], bits: int) -> float:
        """Return the size of all weights, when some have so many bits."""
        return sum(
            size * (bits if name in narrow else _FLOAT16_BITS) / 8
            for name, size in self._sizes.items()
        )


def _sensitivities(
    layers: Sequence[WeightedLayer],
    render_with: Render,
    held_out: HeldOut,
    allowed: Allowance,
    progress: Progress,
) -> dict[str, float]:
    """Return weight -> noise over signal of the worst output when it alone is rounded.

    In graph order, as early weights tend to be small and to matter. What comes after what is
    allowed is missing.
    """
    users: dict[str, list[WeightedLayer]] = {}
    for layer in layers:
        users.setdefault(layer.weight_name, []).append(layer)
    noise: dict[str, float] = {}
    progress = progress.before(allowed.deadline)
    for done, (name, together) in enumerate(users.items()):
        if allowed.is_over:
            break
        allowed.spend()
        progress.step("sensitivity", done, len(users))
        noise[name] = held_out.noise(render_with(together))
    return noise


def _growing_choices(noise: Mapping[str, float], sizes: WeightSizes, most: float) -> list[Tradeoff]:
    """Return ever larger choices of weights in float16, from none on, most noise for size first.

    One that would take the size over ``most`` is passed over, as smaller ones may still fit.
    """
    chosen: list[str] = []
    choices = [Tradeoff((), math.nan, sizes.over_int8(()))]
    for name in sorted(noise, key=lambda name: -noise[name] / sizes.rounded[name]):
        ratio = sizes.over_int8([*chosen, name])
        if ratio <= most:
            chosen.append(name)
            choices.append(Tradeoff(tuple(chosen), math.nan, ratio))
    return choices
