"""One build that was tried, and which of several to keep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..core.diagnostics import Diagnostic
from ..core.errors import ToolkitError
from .chips.compiler_log import log_of_largest, parse_layers
from .fidelity import UNKNOWN, Closeness
from .latency.estimate import estimate
from .toolkit.job import BuildResult
from .toolkit_build import ToolkitBuild

_FAR_SLOWER = 1.25


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
        return self.code in ("", "toolkit-fidelity") and self.closeness.is_faithful

    @cached_property
    def milliseconds(self) -> float | None:
        """The estimated time of what was built; None for a chip with no fit."""
        log = log_of_largest(self.result.log, len(self.task.input_sets))
        latency = estimate(parse_layers(log), self.task.target, self.result.toolkit)
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
    """Return the first usable build that is nearly as close to the float model as any.

    What takes far longer than a usable build is left aside: at level 2 a network of HardSwish was
    estimated to take three times as long. Where none is usable it is the one with the highest rank.
    """
    first = next((attempt for attempt in tried if attempt.is_usable), None)
    compared = [attempt for attempt in tried if first is None or not _is_far_slower(attempt, first)]
    best = max(compared, key=lambda attempt: attempt.rank)  # the first of equals
    as_good = (
        attempt
        for attempt in compared
        if attempt.is_usable and attempt.closeness.is_as_close_as(best.closeness)
    )
    return next(as_good, best)


def _is_far_slower(attempt: BuildAttempt, first: BuildAttempt) -> bool:
    """Whether it takes far longer than the first usable build; unknown without a fit."""
    if attempt.built is None or attempt.milliseconds is None or first.milliseconds is None:
        return False
    return attempt.milliseconds > _FAR_SLOWER * first.milliseconds
