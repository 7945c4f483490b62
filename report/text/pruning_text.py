"""Which plan pruning took, what it left out, and what distillation did, in words."""

from __future__ import annotations

from collections.abc import Iterable

from ...core.percents import percent_text
from ...core.results.pruning_figures import (
    Distillation,
    PlanChoice,
    PrunedBlock,
    PruningFigure,
    UnseenFigure,
)
from ...core.results.report import TargetReport
from .latency_text import ratio_texts
from .units import number_text


def saved_text(target: TargetReport, figure: PruningFigure) -> str:
    """Return what the result costs against the unpruned model; how a ratio without ms is known."""
    form = "int8" if target.model("reference-int8") else "float16"
    timed = target.models[-1].predicted if target.models else None
    by = "" if timed and timed.ms is not None else "by typical coefficients"
    texts = ratio_texts(figure.ratios, figure.latency_low, figure.latency_high, by)
    return f"against unpruned {form}: {texts}"


def pruning_lines(
    blocks: Iterable[PrunedBlock],
    choice: PlanChoice | None,
    training: Distillation | None,
    unseen: UnseenFigure | None,
) -> list[str]:
    """Return what was left out whole, which plan was taken, what is left, what training added."""
    lines = (
        blocks_text(blocks),
        choice and choice_text(choice),
        unseen and unseen_text(unseen),
        training and distillation_text(training),
    )
    return [line for line in lines if line]


def choice_text(choice: PlanChoice) -> str:
    """Return one line: why the plan that was taken is better.

    >>> choice_text(PlanChoice("uniform", "squared error", {"searched": 0.031, "uniform": 0.024}))
    'plan: uniform, squared error 0.024 on held-out samples (searched: 0.031)'
    """
    texts = {name: number_text(value, ".3g") for name, value in choice.values.items()}
    others = ", ".join(f"{name}: {text}" for name, text in texts.items() if name != choice.plan)
    best = texts.get(choice.plan)
    return f"plan: {choice.plan}, {choice.measure} {best} on held-out samples ({others})"


def unseen_text(unseen: UnseenFigure) -> str:
    """Return one line: how close it stays where the repair has not seen the samples.

    >>> unseen_text(UnseenFigure(32, 16.84, 0.96875))
    'pruned: 16.8 dB to the unpruned model on 32 held-out samples, agreement 96.9%'
    """
    agreed = "" if unseen.agreement is None else f", agreement {percent_text(unseen.agreement)}"
    decibels = number_text(unseen.sqnr_db, ".1f")
    return f"pruned: {decibels} dB to the unpruned model on {counted(unseen.samples)}{agreed}"


def blind_text(unseen: UnseenFigure | None, samples: int) -> str:
    """Return on which samples the closeness of a pruned model was measured.

    >>> blind_text(UnseenFigure(32, 16.84, None), 32), blind_text(None, 2)
    (' on 32 held-out samples', ' on the 2 samples that it was repaired with')
    """
    if unseen is not None:
        return f" on {counted(unseen.samples)}"
    return f" on the {samples} sample{'' if samples == 1 else 's'} that it was repaired with"


def counted(samples: int) -> str:
    """Return how many samples were held out, in words."""
    return f"{samples} held-out sample{'' if samples == 1 else 's'}"


def blocks_text(blocks: Iterable[PrunedBlock]) -> str | None:
    """Return one line with the residual blocks that were left out, if any.

    >>> blocks_text([PrunedBlock("block of w4", True, 0.1, 0.093, ("a",))])
    'left out: block of w4 (-9.3%)'
    """
    texts = [f"{block.name} ({-block.saved:+.1%})" for block in blocks if block.left_out]
    return f"left out: {', '.join(texts)}" if texts else None


def distillation_text(training: Distillation) -> str:
    """Return one line; the values are those of the samples that were held out.

    >>> training = Distillation(True, "agreement", 0.08, 0.02, 0.9, 0.95, 800, 300.0, 192, 64)
    >>> distillation_text(training)
    'distillation: agreement 0.900 to 0.950, divergence 0.08 to 0.02 on 64 held-out samples, \
800 steps in 300 s'
    """
    changes = [
        f"{training.measure} {training.likeness_before:.3f} to {training.likeness_after:.3f}",
        f"divergence {training.divergence_before:.3g} to {training.divergence_after:.3g}",
    ]
    fate = "" if training.kept else "not kept, as it is no better: "
    effort = f"{training.steps} steps in {training.seconds:.0f} s"
    on = f"on {training.held_out} held-out samples"
    return f"distillation: {fate}{', '.join(changes)} {on}, {effort}"
