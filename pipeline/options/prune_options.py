"""How a model is pruned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ...core.diagnostics import option
from ...core.list_kinds import Names
from ...core.option_kinds import Choice, Number, Share, Text, Whole
from ...core.options import Options, opt

_VERBS = "run prune"


@dataclass(frozen=True)
class PruneOptions(Options):
    """How much to prune, where, and how what is left is repaired."""

    prune: str | None = opt(
        None,
        Text("BUDGET"),
        "Prune to this budget first: cycles=-30%, latency=-25%, macs=-40% or size=-50%.",
        "run prune demo",
        off=True,
        defaults={"demo": "cycles=-40%"},
    )
    max_drop: float | None = opt(
        None,
        Share(0, 1, "D"),
        "Prune as much as loses no more than this of the outputs, such as 0.02: by trial on "
        "held-out samples. A budget is then the most to prune.",
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
        "Set two of every four weights to zero, on chips that leave them out; of others it is "
        "refused, and those are named.",
        _VERBS,
        off=True,
    )
    keep: tuple[str, ...] = opt(
        (),
        Names("NAME", repeats=True),
        "Leave the channels of this layer whole; a glob such as 'head*'. Repeatable.",
        _VERBS,
    )
    only: tuple[str, ...] = opt(
        (),
        Names("NAME", repeats=True),
        f"Prune these layers alone; as {option('keep')}. Repeatable.",
        _VERBS,
    )
    criterion: Literal["obs", "wanda", "magnitude"] = opt(
        "obs",
        Choice(("obs", "wanda", "magnitude")),
        "Which channels go first: by the error that is left when the others make up for them, by "
        "their energy, or by their weights alone.",
        _VERBS,
    )
    recover: Literal["least-squares", "distill", "none"] = opt(
        "least-squares",
        Choice(("least-squares", "distill", "none")),
        "How to repair what is left: in closed form, by training it on top of that to give what "
        "the original gives (needs PyTorch), or not at all.",
        _VERBS,
    )


@dataclass(frozen=True)
class DistilOptions(Options):
    """How a pruned model is trained."""

    recover_time: float = opt(
        600.0,
        Number(1, 1e6, "S"),
        f"Seconds to train for {option('recover', 'distill')}, at most.",
        _VERBS,
    )
