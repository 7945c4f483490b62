"""How a long stage tells what it is doing, without knowing who listens."""

from __future__ import annotations

from .results import Notice


class Observer:
    """Told of every stage and step; does nothing. The command line shows a progress bar instead.

    Whatever it raises ends the stage. When targets are built side by side, it is told of them from
    several threads at once.
    """

    def of(self, target: str) -> Observer:
        """Who is to be told of one of several targets."""
        return self

    def stage(self, name: str) -> None:
        """A stage of the chain begins."""

    def step(self, what: str, done: int, total: int | None = None) -> None:
        """``done`` of ``total`` (None when unknown) are finished within the stage."""

    def cached(self, name: str) -> None:
        """The stage that began was not run: what it gives was known from before."""

    def warn(self, notice: Notice) -> None:
        """Something was seen that will be in the report too, but is better known now."""

    @property
    def told(self) -> frozenset[tuple[str, str]]:
        """Code and text of the warnings that whoever listens has shown already."""
        return frozenset()

    def end(self, status: str) -> None:
        """All is over of the one target: done or failed."""


SILENT = Observer()
