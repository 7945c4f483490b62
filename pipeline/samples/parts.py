"""Samples in two parts: what a search sees, and what is kept apart to judge its result by."""

from __future__ import annotations

from typing import Literal

from ...calibration_data.samples import Samples
from ...core.diagnostics import option
from ...core.errors import SamplesError

_HELD_OUT = 3  # a sample in so many
_LEAST = 2  # in each part
_SEED = 0  # always the same, so that no two searches of the same samples differ in it


def part_of(samples: Samples, part: Literal["search", "held-out"]) -> Samples:
    """Return the samples of a part: two thirds, or the third with the same shares of the classes.

    Raises SamplesError for fewer than make two parts.
    """
    count = len(samples) // _HELD_OUT
    if count < _LEAST:
        raise SamplesError(
            f"{len(samples)} samples are too few to keep a third apart",
            f"give at least {_HELD_OUT * _LEAST} with {option('eval')}",
        )
    seen, held_out = samples.split(count, _SEED)
    return seen if part == "search" else held_out
