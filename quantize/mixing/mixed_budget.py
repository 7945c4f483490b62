"""What mixed precision may cost or must bring, and the search among choices within that."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

from onnx import ModelProto

from ...core.errors import OptionError
from ...core.graphs.graph import Graph
from ...core.graphs.layers import LayerShape
from ...core.progress import SILENT, Progress
from ...core.types import Shape
from ..rendering.plan import Tradeoff
from .allowance import Allowance

# (shape, "int8", "float16" or "int16") -> cycles
LayerCost = Callable[[LayerShape, str], float]
_TRACED = 8  # measures of noise for each choice: there are no builds among them
_LEAST = {"latency": 0, "cycles": 0, "sqnr": 0, "size": -100}  # what budgets must exceed


@dataclass(frozen=True)
class NpuTime:
    """Milliseconds on the chip, estimated.

    ``built`` is that of a whole model, QDQ or float (in float16), by the layer table of a build;
    None where the toolkit cannot build it. Without building, ``layer`` tells about what a layer
    takes, ``moved`` what the conversion of a tensor of that shape does, and ``predicted`` what a
    prepared float model does when it is quantized but for some activations; None where nothing
    predicts that.
    """

    built: Callable[[ModelProto], float | None]
    layer: LayerCost
    moved: Callable[[Shape], float]
    predicted: Callable[[Graph, Collection[str]], float] | None = None


@dataclass(frozen=True)
class MixedBudget:
    """``latency`` or ``cycles`` may rise by a share of int8's, or ``sqnr`` must reach so many dB.

    Where weights are mixed, their ``size`` may differ from int8's by a share instead.
    """

    kind: str
    value: float

    @property
    def most(self) -> float:
        """Return the largest share of time, cycles or size that may be added to int8's."""
        return math.inf if self.kind == "sqnr" else self.value

    def is_reached(self, sqnr_db: float) -> bool:
        """Return whether it is accurate enough to stop."""
        return self.kind == "sqnr" and sqnr_db >= self.value

    def best(self, tradeoffs: Sequence[Tradeoff]) -> Tradeoff:
        """Return the most accurate choice, or the first (they cost ever more) that is enough."""
        enough = [choice for choice in tradeoffs if self.is_reached(choice.sqnr_db)]
        return enough[0] if enough else max(tradeoffs, key=lambda choice: choice.sqnr_db)


@dataclass(frozen=True)
class MixedPrecision:
    """A budget for tensors in 16 bits of ``dtype``, the cost of layers, and how long to search.

    At most for so many ``seconds``, and ``choices`` of tensors, None for as many as there are.
    With ``below_db`` it is only tried where the model without it stays below that on held-out
    samples. With ``time`` every choice is built and judged by its milliseconds, not by ``cost``;
    should the toolkit not build the int8 model, ``counted`` is the budget instead, None for no
    other choice.
    """

    budget: MixedBudget
    cost: LayerCost
    seconds: float = 300
    below_db: float | None = None
    dtype: str = "float16"
    time: NpuTime | None = None
    counted: MixedBudget | None = None
    choices: int | None = None

    @property
    def is_asked(self) -> bool:
        """Return whether it is to be tried however good the model is without it."""
        return self.below_db is None

    def allowances(self) -> tuple[Allowance, Allowance]:
        """Return what may be taken to trace the noise, and until all is over, from now on."""
        started = time.monotonic()
        most = math.inf if self.choices is None else self.choices
        half = Allowance(started + self.seconds / 2, _TRACED * most)
        return half, Allowance(started + self.seconds, most)

    def is_due(self, sqnr_db: float | None) -> bool:
        """Return whether to try it for a model of this SQNR (None: not measured)."""
        return self.below_db is None or (sqnr_db is not None and sqnr_db < self.below_db)


def parse_mixed(text: str) -> MixedBudget:
    """Read ``latency=+8%``, ``cycles=+8%``, ``size=-15%`` or ``sqnr=25``. Raises OptionError.

    >>> parse_mixed("latency=+8%")
    MixedBudget(kind='latency', value=0.08)
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
        "such as latency=+8%, cycles=+8%, sqnr=25 (dB), or with w4a16 size=-15%",
    )


def search(
    choices: Sequence[Tradeoff],
    measure: Callable[[tuple[str, ...]], float],
    budget: MixedBudget,
    allowed: Allowance,
    progress: Progress = SILENT,
) -> list[Tradeoff]:
    """Measure some of the growing choices; ``measure`` gives the SQNR in dB of one.

    The first, nothing in 16 bits, always is. Then steps double, as neighbours differ little; the
    largest is always among them. Ends when the budget is reached, or what is allowed is over.
    """
    last, progress = len(choices) - 1, progress.before(allowed.deadline)
    steps = sorted({min(2**power, last) for power in range(last.bit_length() + 1)})
    measured = [replace(choices[0], sqnr_db=measure(choices[0].floating))]
    for done, step in enumerate(steps):
        progress.step("mixed precision", done, len(steps))
        if not step or budget.is_reached(measured[-1].sqnr_db) or allowed.is_over:
            break
        allowed.spend()
        measured.append(replace(choices[step], sqnr_db=measure(choices[step].floating)))
    return measured
