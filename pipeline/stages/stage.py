"""What a stage of the chain is: its name, what it reads and makes, and what is measured of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from ...core.progress import Progress
from .target_figures import TargetFigures
from .target_run import TargetRun


class Stage(ABC):
    """One stage; ``run`` walks the list of them, and a dry run tells of each.

    One that ``is_cached`` makes its files through the cache, so that a dry run can look whether
    they are there. One that ``is_listed`` is in the report as skipped when it was not asked for.
    """

    name: ClassVar[str]
    is_cached: ClassVar[bool] = False
    is_listed: ClassVar[bool] = False

    def applies(self, run: TargetRun) -> bool:
        """Return whether the recipe and the target ask for it."""
        return True

    def reads(self, run: TargetRun) -> tuple[str, ...]:
        """Return the stages whose results it takes, of those that are cached."""
        return ()

    @abstractmethod
    def describe(self, run: TargetRun) -> str:
        """Return what it would do, in a few words."""

    def make(self, run: TargetRun, progress: Progress) -> None:  # noqa: B027  (some make none)
        """Make its files, and leave in ``run`` what later stages read. Measures nothing."""

    def measure(  # noqa: B027  (some have nothing to say)
        self, run: TargetRun, figures: TargetFigures, progress: Progress
    ) -> None:
        """Add what the report says of it."""


def on_samples(run: TargetRun) -> str:
    """Return on how many samples results are compared, in words."""
    return f"on {len(run.evaluation)} samples"


def with_calibration(run: TargetRun) -> str:
    """Return how many calibration samples there are, in words."""
    return "" if run.optional_calib is None else f"{len(run.optional_calib)} calibration samples"
