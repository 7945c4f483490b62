"""Training as its progress tells of it, and stopped at one of its steps."""

from __future__ import annotations

from rockpress.core.progress import Progress


class Stopped(Exception):
    """What stops it."""


class Steps(Progress):
    """Keeps the steps of training, each with the total; stops it at one of them."""

    def __init__(self, stop: int | None = None) -> None:
        self.steps: list[tuple[int, int | None]] = []
        self._stop = stop

    def step(self, activity: str, done: int, total: int | None = None) -> None:
        if activity != "train":
            return
        self.steps.append((done, total))
        if done == self._stop:
            raise Stopped
