"""What a search may take: by the clock, by a count, or both."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass


@dataclass
class Allowance:
    """It is over at ``deadline`` (time.monotonic), or when so many were ``left`` and are spent.

    What a count ends is the same on every machine; what the clock ends is not.
    """

    deadline: float = math.inf
    left: float = math.inf

    def spend(self) -> None:
        """Take one of what is left."""
        self.left -= 1

    @property
    def is_over(self) -> bool:
        """Return whether nothing more may be begun."""
        return self.left <= 0 or time.monotonic() >= self.deadline
