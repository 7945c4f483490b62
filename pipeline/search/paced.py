"""Something that is done with the newest of many values, and takes a bounded share of the time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass
class Paced(Generic[T]):
    """Calls ``do`` with a value at once, but after a call only when its ``share`` allows it again.

    ``finish`` calls it with the last value, where that still waits.
    """

    do: Callable[[T], None]
    share: float = 0.1
    clock: Callable[[], float] = time.monotonic
    _due: float = -math.inf
    _waiting: tuple[T, ...] = ()

    def __call__(self, value: T) -> None:
        """Take a value in the place of one that still waits."""
        self._waiting = (value,)
        if self.clock() >= self._due:
            self.finish()

    def finish(self) -> None:
        """Do what still waits."""
        for value in self._waiting:
            self._waiting, begun = (), self.clock()
            self.do(value)
            self._due = begun + (self.clock() - begun) / self.share
