"""Mixed precision: which activations are worth 16 bits (float16 or int16), and what that costs.

An operator runs in 16 bits unless all it reads and makes is int8. So one tensor left in float takes
the layer that makes it and those that read it to 16 bits. The error that each tensor brings
is measured on its own; those that bring most for the cycles they cost are left in float first.
"""

from __future__ import annotations

import heapq
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from onnx import ModelProto

from ...core.errors import OptionError
from ...core.graphs.graph import Graph
from ...core.graphs.layers import LayerShape, layer_of
from ..graph_parts.placement import place
from ..rendering.plan import Plan, Tradeoff
from ..rendering.qdq import render
from ..trials.held_out_samples import HeldOut

# (shape, "int8", "float16" or "int16") -> cycles
LayerCost = Callable[[LayerShape, str], float]
# Of all cycles: what a tensor is taken to cost at least. The conversion to float16 and back is not
# in any table of the compiler, but is not free.
_LEAST_COST = 0.001
_WORST_DB = -100.0  # an output that is broken altogether: finite, so that it can be added up
_PARTS = 4  # into which a stretch of the network is cut
_SAMPLES = 6  # enough to rank tensors by the error that they bring
_LEAST = {"cycles": 0, "sqnr": 0, "size": -100}  # what budgets must exceed
_WIDTH = 8  # tensors looked at in each step of the greedy choice


@dataclass(frozen=True)
class MixedBudget:
    """``cycles`` may rise by a share of the int8 model's, or so many dB of ``sqnr`` are wanted.

    With weights of 4 bits the ``size`` of all weights may differ from int8's by a share instead.
    """

    kind: str
    value: float

    @property
    def most(self) -> float:
        """The largest share of cycles, or size, that may be added to int8's."""
        return math.inf if self.kind == "sqnr" else self.value

    def is_reached(self, sqnr_db: float) -> bool:
        """Whether it is accurate enough to stop."""
        return self.kind == "sqnr" and sqnr_db >= self.value

    def best(self, tradeoffs: Sequence[Tradeoff]) -> Tradeoff:
        """The most accurate choice, or the first that is accurate enough (they grow dearer)."""
        enough = [one for one in tradeoffs if self.is_reached(one.sqnr_db)]
        return enough[0] if enough else max(tradeoffs, key=lambda one: one.sqnr_db)


def parse_mixed(text: str) -> MixedBudget:
    """Read ``cycles=+8%``, ``size=-15%`` or ``sqnr=25``. Raises OptionError.

    >>> parse_mixed("cycles=+8%")
    MixedBudget(kind='cycles', value=0.08)
    >>> parse_mixed("size=-15%")
    MixedBudget(kind='size', value=-0.15)
    >>> parse_mixed("sqnr=25")
    MixedBudget(kind='sqnr', value=25.0)
    """
    kind, _, value = text.strip().lower().replace(" ", "").partition("=")
    least = _LEAST.get(kind, math.inf)
    try:
        number = float(value if kind == "sqnr" else value.removesuffix("%"))
    except ValueError:
        number = math.nan
    if value.endswith("%") == (kind != "sqnr") and least < number < 1000:
        return MixedBudget(kind, number if kind == "sqnr" else number / 100)
    raise OptionError(
        f"{text!r} is no budget for mixed precision",
        "such as cycles=+8%, sqnr=25 (dB), or with w4a16 size=-15%",
    )


def sensitivities(
    model: ModelProto,
    plan: Plan,
    held_out: HeldOut,
    deadline: float,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, float]:
    """Tensor -> noise over signal of the worst output when it alone is quantized, worst first.

    Tensors that share a scale count as one. Stretches of the network are measured before single
    tensors, and the noisiest stretch is always cut next, until what is left in one piece brings
    less than a tenth of the noise, or until ``deadline`` (time.monotonic).
    """
    together = families(plan)

    def noise(names: Sequence[str]) -> float:
        members = [member for name in names for member in together[name]]
        alone = {member: plan.activations[member] for member in members}
        part = render(model, replace(plan, activations=alone, weights={}), {})
        db = max(held_out.sqnr_db(part, most=_SAMPLES), _WORST_DB)
        return float(10 ** (-db / 10))

    whole = list(together)
    left = [(-noise(whole), 0, whole)]
    found: dict[str, float] = {}
    order, enough = 1, -left[0][0] / 10
    while left and -sum(one[0] for one in left) > enough and time.monotonic() < deadline:
        on_progress(len(found), len(together))
        brings, _, names = heapq.heappop(left)
        if len(names) == 1:
            found[names[0]] = -brings
            continue
        size = -(-len(names) // _PARTS)
        for start in range(0, len(names), size):
            part = names[start : start + size]
            heapq.heappush(left, (-noise(part), order, part))
            order += 1
    return found


def families(plan: Plan) -> dict[str, list[str]]:
    """Quantized tensor -> itself and those that were only moved from it."""
    found: dict[str, list[str]] = {}
    for name, one in plan.activations.items():
        if one.dtype == "int8":
            found.setdefault(one.source.removeprefix("as "), []).append(name)
            if not one.source.startswith("as "):
                found.setdefault(name, []).append(name)
    return {name: list(dict.fromkeys(all_)) for name, all_ in found.items() if name in all_}


class Costs:
    """Estimated cycles of the model's layers, for any choice of tensors in float."""

    def __init__(self, graph: Graph, cost: LayerCost, wide: str = "float16") -> None:
        self._graph = graph
        shapes = {node.output[0]: layer_of(graph, node) for node in graph.nodes}
        known = {name: shape for name, shape in shapes.items() if shape is not None}
        self._int8 = {name: cost(shape, "int8") for name, shape in known.items()}
        self._float = {name: cost(shape, wide) for name, shape in known.items()}
        self._start = self._cycles(())

    def over_int8(self, floating: Sequence[str]) -> float:
        """How many more cycles, relative to the int8 model: 0.08 for 8 %."""
        return self._cycles(floating) / self._start - 1

    def _cycles(self, floating: Sequence[str]) -> float:
        placed = place(self._graph, floating)
        quantized = {node.output[0] for node in placed.weights}
        return sum(
            self._int8[name] if name in quantized else self._float[name] for name in self._int8
        )


def growing_choices(
    graph: Graph,
    plan: Plan,
    sensitivity: Mapping[str, float],
    cost: LayerCost,
    most: float,
    deadline: float = math.inf,
    wide: str = "float16",
) -> list[Tradeoff]:
    """Ever larger choices of tensors in 16 bits, from none on, best value first; not measured yet.

    Greedy by noise saved over cycles added, given what is in float already; a tensor that would
    exceed ``most`` (0.08 for 8 % more cycles) is passed over. Ends at ``deadline``.
    """
    together, costs = families(plan), Costs(graph, cost, wide)
    left = sorted(sensitivity, key=lambda name: -sensitivity[name])
    chosen: list[str] = []
    spent, found = 0.0, [Tradeoff((), 1.0, math.nan)]
    total = sum(sensitivity.values())
    # those that bring a thousandth of the noise or less are not worth a search
    left = [name for name in left if sensitivity[name] > total / 1000]
    while left and time.monotonic() < deadline:
        prices: dict[str, float] = {}
        for name in list(left):
            price = costs.over_int8([*chosen, *together[name]])
            if price > most:
                left.remove(name)  # and it will not become cheaper
                continue
            prices[name] = price
            if len(prices) == _WIDTH:
                break
        if not prices:
            break
        best = max(
            prices, key=lambda name: sensitivity[name] / max(prices[name] - spent, _LEAST_COST)
        )
        chosen.extend(together[best])
        left.remove(best)
        spent = prices[best]
        found.append(Tradeoff(tuple(chosen), 1 + spent, math.nan))
    return found


def search(
    choices: Sequence[Tradeoff],
    measure: Callable[[tuple[str, ...]], float],
    budget: MixedBudget,
    deadline: float,
    on_progress: Callable[[int, int], None],
) -> list[Tradeoff]:
    """Measure some of the growing choices; ``measure`` gives the SQNR in dB of one.

    The first, nothing in float, always is. Then steps double, as neighbours differ little; the
    largest is always among them. Ends when the budget is reached, or at ``deadline``.
    """
    last = len(choices) - 1
    steps = sorted({min(2**power, last) for power in range(last.bit_length() + 1)})
    found = [replace(choices[0], sqnr_db=measure(choices[0].floating))]
    for done, step in enumerate(steps):
        on_progress(done, len(steps))
        if not step or budget.is_reached(found[-1].sqnr_db) or time.monotonic() > deadline:
            break
        found.append(replace(choices[step], sqnr_db=measure(choices[step].floating)))
    return found
