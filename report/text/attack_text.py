"""What is left of a classifier under attack, in words."""

from __future__ import annotations

from collections.abc import Sequence

from ...core.percents import percent_range, percent_text
from ...core.results.sample_rows import AttackRow

_LEVEL = 0.05  # of a p-value from which on chance is not blamed
_FEWEST = 6  # doors, all of one kind, below which no p-value is under that


def attack_lines(rows: Sequence[AttackRow]) -> list[str]:
    """Return both models' metric on clean images, and a line an attack, its verdict first.

    >>> common = dict(metric="top1", baseline=0.9, candidate=0.9, samples=100)
    >>> clean = AttackRow("none", None, None, None, retention=1.0, low=0.9, high=1.1, **common)
    >>> common.update(baseline=0.5, candidate=0.4, opened=12, closed=2, p_value=0.013)
    >>> common.update(retention=0.8, low=0.7, high=0.9, both_right=85)
    >>> for line in attack_lines([clean, AttackRow("square", 4, "each", 50, **common)]):
    ...     print(line)
    attacked: top1 of original and result on 100 samples, each pixel within 4 of 255, ONNX Runtime: as they are 90.0% and 90.0%
    Square Attack on each (50 queries): compression opened doors: of 85 samples that both have right the result alone loses 12, the original alone 2 (p = 0.013); left 50.0% and 40.0%, retention 80.0% (70.0 to 90.0%)
    """  # noqa: E501
    lines = [f"{attack_name(row)}: {door_text(row)}; {_figures(row)}" for row in attacks(rows)]
    clean = [row for row in rows if row.made_on is None]
    head = [
        f"attacked: {attacks_subject(rows)}: {attack_name(row)} {share_text(row.baseline)} and "
        f"{share_text(row.candidate)}"
        for row in clean
    ]
    return [*head, *lines]


def attacks(rows: Sequence[AttackRow]) -> list[AttackRow]:
    """Return the rows of attacks, without that of the images as they are."""
    return [row for row in rows if row.made_on is not None]


def attacks_subject(rows: Sequence[AttackRow]) -> str:
    """Return what is measured, on what, and how large the changes are."""
    epsilon = max((row.epsilon for row in rows if row.epsilon is not None), default=0)
    return (
        f"{rows[0].metric} of original and result on {rows[0].samples} samples, each pixel within "
        f"{epsilon:g} of 255, ONNX Runtime"
    )


def share_text(value: float | None) -> str:
    """Return a model's share of samples in per cent."""
    return "unknown" if value is None else percent_text(value)


def attack_name(row: AttackRow) -> str:
    """Return what was done to the images, and by which model they were made."""
    names = {
        ("none", None): "as they are",
        ("square", "each"): f"Square Attack on each ({row.queries} queries)",
        ("square", "baseline"): "Square Attack on the original shown to both",
        ("pgd", "baseline"): "PGD on the original shown to both",
    }
    return names.get((row.attack, row.made_on), f"{row.attack} {row.made_on}")


def door_text(row: AttackRow) -> str:
    """Return whether one model alone loses more samples under attack than chance would make it."""
    if row.opened is None or row.closed is None or row.p_value is None:
        return "unknown, see the warnings"
    of = "samples" if row.both_right is None else f"{row.both_right} samples"
    if row.both_right == 0:
        return "nothing to lose: no sample that both have right"
    counts = (
        f"of {of} that both have right the result alone loses {row.opened}, the original alone "
        f"{row.closed} (p = {row.p_value:.2g})"
    )
    if row.opened + row.closed < _FEWEST:
        more = "samples" if row.queries is None else "samples or queries"
        return f"too few doors to tell, more {more} may: {counts}"
    return f"{_verdict(row.opened, row.closed, row.p_value)}: {counts}"


def _verdict(opened: int, closed: int, p_value: float) -> str:
    if p_value > _LEVEL:
        return "no more than chance would do"
    if opened > closed:
        return "compression opened doors"
    return "the search goes less far on the result"


def _figures(row: AttackRow) -> str:
    pair = f"left {share_text(row.baseline)} and {share_text(row.candidate)}"
    if row.retention is not None and row.low is not None and row.high is not None:
        retained = percent_text(row.retention)
        return f"{pair}, retention {retained} ({percent_range(row.low, row.high)})"
    return f"{pair}, no retention" if row.baseline == 0 else pair
