"""Mixed precision: which activations are worth 16 bits (float16 or int16), and what that costs.

An operator runs in 16 bits unless all it reads and makes is int8. So one tensor in 16 bits takes
the layer that makes it and those that read it along. The error that each tensor brings is measured
on its own; those that bring most for the cycles they cost are chosen first.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from onnx import ModelProto

from ...core.graphs.graph import Graph
from ...core.graphs.layers import layer_of
from ...core.progress import SILENT, Progress
from ..graph_parts.placement import place
from ..rendering.plan import Plan, Tradeoff
from ..rendering.qdq import insert_qdq
from ..trials.held_out_samples import HeldOut
from .allowance import Allowance
from .mixed_budget import LayerCost, MixedPrecision, search
from .timed_mix import TimedTrial, timed_choices

# Of all cycles: what a tensor is taken to cost at least. The conversion to float16 and back is not
# in any table of the compiler, but is not free.
_LEAST_COST = 0.001
_PIECES = 4  # into which a stretch of the network is cut
_REST, _TIMED_REST = 0.1, 0.04  # of the noise: what is not traced to single tensors
_WIDTH = 8  # tensors looked at in each step of the greedy choice
_UNLIMITED = Allowance()


def mixed_activations(
    graph: Graph,
    plan: Plan,
    held_out: HeldOut,
    mixed: MixedPrecision,
    render_with: Callable[[tuple[str, ...]], ModelProto],
    progress: Progress = SILENT,
) -> list[Tradeoff]:
    """Return choices of tensors in 16 bits, each with its cost and SQNR, cheapest first.

    ``plan`` is that of the model of ``graph`` in integers alone; ``render_with`` makes the model in
    which the named tensors are in 16 bits. Ends after ``mixed.seconds``, or so many choices, with
    what was measured.
    """
    half, whole = mixed.allowances()
    rest = _REST if mixed.time is None else _TIMED_REST
    noise = sensitivities(graph.model, plan, held_out, half, progress, rest)
    if mixed.dtype == "int16":  # the toolkit takes the inputs of a model in int8 alone
        noise = {name: ratio for name, ratio in noise.items() if name not in graph.input_names}
    if mixed.time is not None:
        least_db = -math.inf if mixed.below_db is None else mixed.below_db
        time_of, budget = mixed.time, mixed.budget
        trial = TimedTrial(render_with, held_out.sqnr_db, time_of, budget, whole, least_db)
        timed = timed_choices(graph, scale_groups(plan), noise, trial, progress)
        if timed[0].ms is not None or mixed.counted is None:
            return timed
        mixed = replace(mixed, budget=mixed.counted, time=None)
    soon = Allowance(half.deadline + mixed.seconds / 10)  # the rest of the time is for the trials
    choices = growing_choices(graph, plan, noise, mixed, soon)

    def sqnr_db(names: tuple[str, ...]) -> float:
        return held_out.sqnr_db(render_with(names))

    return search(choices, sqnr_db, mixed.budget, whole, progress)


def sensitivities(
    model: ModelProto,
    plan: Plan,
    held_out: HeldOut,
    allowed: Allowance,
    progress: Progress = SILENT,
    rest: float = _REST,
) -> dict[str, float]:
    """Return tensor -> noise over signal of the worst output when it alone is quantized.

    Worst first. Tensors that share a scale count as one. Stretches of the network are measured
    before single tensors, and the noisiest stretch is always cut next, until what is left in one
    piece brings less than ``rest`` of the noise, or what is allowed is over: a stretch each.
    """
    groups = scale_groups(plan)

    def noise(names: Sequence[str]) -> float:
        allowed.spend()
        members = [member for name in names for member in groups[name]]
        return held_out.noise(with_activations(model, plan, members))

    whole = list(groups)
    stretches = [(-noise(whole), 0, whole)]
    noises: dict[str, float] = {}
    order, enough, progress = 1, -stretches[0][0] * rest, progress.before(allowed.deadline)
    while stretches and -sum(stretch[0] for stretch in stretches) > enough and not allowed.is_over:
        progress.step("sensitivity", len(noises), len(groups))
        negative, _, names = heapq.heappop(stretches)
        if len(names) == 1:
            noises[names[0]] = -negative
            continue
        size = -(-len(names) // _PIECES)
        for start in range(0, len(names), size):
            piece = names[start : start + size]
            heapq.heappush(stretches, (-noise(piece), order, piece))
            order += 1
    return noises


def with_activations(model: ModelProto, plan: Plan, names: Sequence[str]) -> ModelProto:
    """Return the model in float but for some activations."""
    alone = {name: plan.activations[name] for name in names}
    return insert_qdq(model, replace(plan, activations=alone, weights={}), {})


def scale_groups(plan: Plan) -> dict[str, list[str]]:
    """Return quantized tensor -> itself and those that were only moved from it."""
    groups: dict[str, list[str]] = {}
    for name, activation in plan.activations.items():
        if activation.dtype == "int8":
            groups.setdefault(activation.source.removeprefix("as "), []).append(name)
            if not activation.source.startswith("as "):
                groups.setdefault(name, []).append(name)
    return {name: list(dict.fromkeys(names)) for name, names in groups.items() if name in names}


class MixedCycles:
    """Estimated cycles of the model's layers, for any choice of tensors in 16 bits."""

    def __init__(self, graph: Graph, cost: LayerCost, dtype: str = "float16") -> None:
        self._graph = graph
        maybe = {node.output[0]: layer_of(graph, node) for node in graph.nodes}
        shapes = {name: shape for name, shape in maybe.items() if shape is not None}
        self._int8 = {name: cost(shape, "int8") for name, shape in shapes.items()}
        self._in_16_bits = {name: cost(shape, dtype) for name, shape in shapes.items()}
        self._start = self._cycles(())

    def over_int8(self, tensors: Sequence[str]) -> float:
        """Return how many more cycles, relative to the int8 model: 0.08 for 8 %."""
        return self._cycles(tensors) / self._start - 1

    def _cycles(self, tensors: Sequence[str]) -> float:
        quantized = {node.output[0] for node in place(self._graph, tensors).weights}
        return sum(
            self._int8[name] if name in quantized else self._in_16_bits[name] for name in self._int8
        )


def growing_choices(
    graph: Graph,
    plan: Plan,
    noise: Mapping[str, float],
    mixed: MixedPrecision,
    allowed: Allowance = _UNLIMITED,
) -> list[Tradeoff]:
    """Return ever larger choices of tensors in 16 bits, from none on, best value first.

    They are not measured yet. Greedy by ``noise`` saved over cycles added, with what was chosen
    before; a tensor that would exceed the budget is passed over. Ends when what is allowed is over.
    """
    groups, cycles = scale_groups(plan), MixedCycles(graph, mixed.cost, mixed.dtype)
    left = sorted(noise, key=lambda name: -noise[name])
    chosen: list[str] = []
    spent, choices = 0.0, [Tradeoff((), math.nan, cycles_ratio=1.0)]
    total = sum(noise.values())
    # those that bring a thousandth of the noise or less are not worth a search
    left = [name for name in left if noise[name] > total / 1000]
    while left and not allowed.is_over:
        prices: dict[str, float] = {}
        for name in list(left):
            price = cycles.over_int8([*chosen, *groups[name]])
            if price > mixed.budget.most:
                left.remove(name)  # and it will not become cheaper
                continue
            prices[name] = price
            if len(prices) == _WIDTH:
                break
        if not prices:
            break
        best = max(prices, key=lambda name: noise[name] / max(prices[name] - spent, _LEAST_COST))
        chosen.extend(groups[best])
        left.remove(best)
        spent = prices[best]
        choices.append(Tradeoff(tuple(chosen), math.nan, cycles_ratio=1 + spent))
    return choices
