"""What rockpress int8 is meant to keep, on how many samples, and where it is not there yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .methods import CHIP, FLOAT, INT8
from .rows import Row
from .significance import retention
from .subjects import Subject

_SAMPLES = 1000  # from so many on a loss of a point can be told from chance


def goals_text(subjects: Sequence[Subject], rows: Mapping[tuple[str, str, str], Row]) -> str:
    """Name the models that keep less than is meant, and those with fewer samples."""
    below = [text for subject in subjects if (text := _below(subject, rows))]
    few = [f"{subject.name} ({subject.test})" for subject in subjects if subject.test < _SAMPLES]
    return (
        "rockpress int8 is meant to keep 99 % on text, 98 % on what finds boxes, and 98.5 % "
        f"elsewhere. **Below that on {len(below)} of {len(subjects)}**: "
        f"{', '.join(below) or 'none'}. Over fewer than {_SAMPLES:,} samples: "
        f"{', '.join(few) or 'none'}."
    )


def _below(subject: Subject, rows: Mapping[tuple[str, str, str], Row]) -> str:
    base, row = (rows.get((subject.name, name, CHIP)) for name in (FLOAT, INT8))
    if base is None or row is None:
        return ""
    if row.error:
        return f"{subject.name} (failed)"
    figure = retention(row, base)
    if figure.value >= subject.goal:
        return ""
    reaches = ", which its interval holds" if figure.high >= subject.goal else ""
    return f"{subject.name} ({figure.value * 100:.1f} %{reaches})"
