"""How a model is pruned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from ...core.diagnostics import option
from ...core.list_kinds import Names
from ...core.option_kinds import Choice, Number, Share, Text, Whole
from ...core.options import Options, opt

_VERBS = "run prune"


@dataclass(frozen=True)
class PruneOptions(Options):
    """How much to prune, where, and how what is left is repaired."""

    heading: ClassVar[str] = "Pruning"

    prune: str | None = opt(
        None,
        Text("BUDGET", forms=("cycles=-30%", "latency=-25%", "macs=-40%", "size=-50%")),
        "Prune to this budget first: cycles=-30%, latency=-25%, macs=-40% or size=-50%.",
        "run prune demo",
        heading="Result",
        off=True,
        defaults={"demo": "cycles=-40%"},
    )
    max_drop: float | None = opt(
        None,
        Share(0, 1, "D"),
        "Prune as much as loses no more than this of the outputs, such as 0.02. It is by trial on "
        "held-out samples, and a budget is then the most to prune.",
        _VERBS,
    )
    rounds: int | None = opt(
        None,
        Whole(1),
        "Prune in so many rounds, measuring anew after each.",
        _VERBS,
        default="2 from macs=-60% or size=-60% on, else 1",
    )
    sparsity: str | None = opt(
        None,
        Choice(("2:4", "off")),
        "Set two of every four weights to zero. Chips that do not leave them out refuse it.",
        _VERBS,
        off=True,
    )
    keep: tuple[str, ...] = opt(
        (),
        Names("NAME", repeats=True, commas=False),
        "Leave the channels of this layer whole; a glob such as 'head*'. Repeatable.",
        _VERBS,
    )
    only: tuple[str, ...] = opt(
        (),
        Names("NAME", repeats=True, commas=False),
        f"Prune these layers alone; as {option('keep')}. Repeatable.",
        _VERBS,
    )
    criterion: Literal["obs", "wanda", "magnitude"] = opt(
        "obs",
        Choice(("obs", "wanda", "magnitude")),
        "Which channels go first. By the error that is left when the others make up for them, by "
        "their energy, or by their weights alone.",
        _VERBS,
    )
    recover: Literal["least-squares", "distill", "none"] = opt(
        "least-squares",
        Choice(("least-squares", "distill", "none")),
        "How to repair what is left. In closed form, by training it on top of that to give what "
        "the original gives (needs PyTorch), or not at all.",
        _VERBS,
    )


@dataclass(frozen=True)
class DistilOptions(Options):
    """How a pruned model is trained."""

    heading: ClassVar[str] = "Pruning"

    recover_time: float | None = opt(
        600.0,
        Number(1, 1e6, "S", "s"),
        f"Seconds to train for {option('recover', 'distill')}, at most.",
        _VERBS,
        default="600",
        off=True,
    )
    recover_steps: int = opt(
        2000,
        Whole(1, 1_000_000),
        f"Mini-batches to train for {option('recover', 'distill')}, at most. Unlike a time it "
        "gives the same on every machine.",
        _VERBS,
    )
