"""How close outputs are to others, in words."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ...core.percents import percent_range, percent_text
from ...core.proportion import Interval, proportion_interval
from ...core.results.part_figures import PartFigure


def similarity_text(agreement: float | None, samples: int, sqnr_db: float) -> str:
    """Return how close outputs of so many samples are to the baseline's, in words.

    >>> similarity_text(0.964, 500, 19.7)
    'agreement with the baseline 96.4% (94.4 to 97.7%), SQNR to it 19.7 dB'
    """
    noise = decibel_text(sqnr_db) + ("" if math.isinf(sqnr_db) else " dB")
    if agreement is None:
        return f"SQNR to the baseline {noise}"
    agreed = agreement_text(agreement, samples)
    return f"agreement with the baseline {agreed}, SQNR to it {noise}"


def agreement_text(agreement: float, samples: int) -> str:
    """Return how often two models say the same with its 95 % interval, of so many samples.

    >>> agreement_text(1.0, 12), agreement_text(1.0, 0)
    ('100.0% (75.8 to 100.0%)', '100.0%')
    """
    low, high = agreement_interval(agreement, samples)
    interval = "" if low is None or high is None else f" ({percent_range(low, high)})"
    return f"{percent_text(agreement)}{interval}"


def agreement_interval(agreement: float | None, samples: int) -> Interval | tuple[None, None]:
    """Return the 95 % interval of an agreement of so many samples; None where there is none."""
    # a document may say anything
    if agreement is None or samples < 1 or not math.isfinite(agreement):
        return None, None
    return proportion_interval(agreement, samples)


def part_name(part: PartFigure) -> str:
    """Return a part as a text names it."""
    whole = f"output {part.output!r}"
    return whole if part.part == part.output else f"{part.part!r} of {whole}"


def part_lines(parts: Sequence[PartFigure]) -> list[str]:
    """Return the SQNR of each part, where there are several."""
    texts = [f"{part_name(part)} {decibel_text(part.sqnr_db)} dB" for part in parts]
    return [f"SQNR of each part to the baseline: {', '.join(texts)}"] if len(texts) > 1 else []


def decibel_text(value: float) -> str:
    """Return decibels without their unit.

    >>> decibel_text(19.74), decibel_text(math.inf), decibel_text(-math.inf)
    ('19.7', 'infinite', '-infinite')
    """
    return f"{'-' * (value < 0)}infinite" if math.isinf(value) else f"{value:.1f}"
