"""One build that was tried, and which of several to keep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..core.diagnostics import Diagnostic
from ..core.errors import ToolkitError
from .chips.compiler_log import Layer, log_of_largest, parse_layers
from .fidelity import LOSS_DB, UNKNOWN, Closeness
from .latency.estimate import estimate
from .toolkit.job import BuildResult
from .toolkit_build import ToolkitBuild

_FAR_SLOWER = 1.25
_USABLE = ("", "toolkit-fidelity", "toolkit-slow")


@dataclass(frozen=True)
class BuildAttempt:
    """One build that was tried. ``trouble`` says what is wrong with it, "" when nothing is."""

    task: ToolkitBuild
    built: BuildResult | None = None
    warnings: tuple[Diagnostic, ...] = ()
    closeness: Closeness = UNKNOWN
    code: str = ""
    trouble: str = ""
    error: ToolkitError | None = None

    @property
    def result(self) -> BuildResult:
        """What was built: there is something unless ``error`` says why not."""
        assert self.built is not None
        return self.built

    @property
    def is_usable(self) -> bool:
        """Whether it computes what was meant, if not as closely as it might."""
        return self.code in _USABLE and self.closeness.is_faithful

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """What was built, layer by layer."""
        return parse_layers(log_of_largest(self.result.log, len(self.task.input_sets)))

    @cached_property
    def milliseconds(self) -> float | None:
        """The estimated time of what was built; None for a chip with no fit."""
        latency = estimate(self.layers, self.task.target, self.result.toolkit)
        return latency.ms if latency else None

    @property
    def rank(self) -> tuple[bool, bool, float]:
        """The higher, the better: it exists, fits its registers, is close to the float model."""
        to_float, to_intended = self.closeness.float_db, self.closeness.intended_db
        close = to_intended if to_float is None else to_float
        return (
            self.built is not None and self.error is None,
            self.code != "toolkit-regtask",
            -np.inf if close is None else close,
        )


def best_of(tried: Sequence[BuildAttempt]) -> BuildAttempt:
    """Return the fastest usable build that is nearly as close to the float model as any.

    What takes far longer than the first usable build, or than one that is little further from the
    float model, is left aside: at level 2 a network of HardSwish was estimated to take three times
    as long. Where none is usable it is the one with the highest rank. Of equals it is the first.
    """
    usable = [attempt for attempt in tried if attempt.is_usable]
    compared = [attempt for attempt in tried if not _is_too_slow(attempt, usable)]
    best = max(compared, key=lambda attempt: attempt.rank)
    as_good = [
        attempt
        for attempt in compared
        if attempt.is_usable and attempt.closeness.is_as_close_as(best.closeness)
    ]
    return min(as_good, key=lambda attempt: attempt.milliseconds or 0.0, default=best)


def _is_too_slow(attempt: BuildAttempt, usable: Sequence[BuildAttempt]) -> bool:
    """Whether it takes far longer than a usable build that may well stand for it."""
    return any(
        _is_far_slower(attempt, other) and (index == 0 or _is_little_further(other, attempt))
        for index, other in enumerate(usable)
    )


def _is_little_further(attempt: BuildAttempt, other: BuildAttempt) -> bool:
    lost = attempt.closeness.lost_against(other.closeness)
    return lost is not None and lost < LOSS_DB


def _is_far_slower(attempt: BuildAttempt, other: BuildAttempt) -> bool:
    """Whether it takes far longer than another build; unknown without a fit."""
    if attempt.built is None or attempt.milliseconds is None or other.milliseconds is None:
        return False
    return attempt.milliseconds > _FAR_SLOWER * other.milliseconds
