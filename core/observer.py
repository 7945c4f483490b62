"""How a long stage tells what it is doing, without knowing who listens."""

from __future__ import annotations


class Observer:
    """Told of every stage and step; does nothing. The command line shows a progress bar instead."""

    def stage(self, name: str) -> None:
        """A stage of the chain begins."""

    def step(self, what: str, done: int, total: int | None = None) -> None:
        """``done`` of ``total`` (None when unknown) are finished within the stage."""


SILENT = Observer()
