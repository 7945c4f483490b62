"""How a long stage tells what it is doing, without knowing who listens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .diagnostics import Diagnostic


@dataclass(frozen=True)
class ExpectedStage:
    """A stage that is to come, of one target or before all of them, and the seconds it may take.

    They are those of an earlier run of the same work where ``is_measured``, else such as another
    machine took for it; None where nobody knows. Stages of one ``kind`` of work, such as builds of
    the toolkit, are as slow as one another on a loaded machine, and others need not be.
    """

    name: str
    target: str = ""
    seconds: float | None = None
    is_measured: bool = False
    kind: str = ""


class Progress:
    """Told of every stage and step; does nothing. The command line shows a progress bar instead.

    Whatever it raises ends the stage. When targets are built side by side, it is told of them from
    several threads at once.
    """

    def of(self, target: str) -> Progress:
        """Return who is to be told of one of several targets."""
        return self

    def before(self, deadline: float) -> Progress:
        """Return who is to be told of work that ends by then at the latest (time.monotonic)."""
        return self

    def plan(self, stages: Sequence[ExpectedStage], at_once: int = 1) -> None:
        """Tell which stages come, of all targets; of these so many are built at once."""

    def stage(self, name: str) -> None:
        """Begin a stage of the chain; that before it is over."""

    def step(self, activity: str, done: int, total: int | None = None) -> None:
        """Note that ``done`` of ``total`` (None when unknown) are finished of an activity."""

    def cached(self, name: str) -> None:
        """Note that the stage that began was not run: the cache has its result."""

    def warn(self, diagnostic: Diagnostic) -> None:
        """Tell at once of what will be in the report too."""

    @property
    def shown(self) -> frozenset[tuple[str, str]]:
        """Code and text of the warnings that were shown already."""
        return frozenset()

    def note(self, text: str) -> None:
        """Tell at once of what is no warning."""

    def end(self, status: str) -> None:
        """Note that all is over of the one target: done or failed."""


SILENT = Progress()
