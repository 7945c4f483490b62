"""What a search tries, and what came of it, as plain values."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from ...core.errors import NOT_INSTALLED
from ...core.results.tune_report import Setting

CUT_SHORT = "the time was over"  # of a trial that may still go on
_DIGEST_LENGTH = 16


@dataclass(frozen=True)
class Point:
    """One choice of options: their values by name, in the order of the names."""

    settings: tuple[tuple[str, Setting], ...]

    @classmethod
    def of(cls, settings: Mapping[str, Setting]) -> Point:
        """Return the point of a table of options."""
        return cls(tuple(sorted(settings.items())))

    @property
    def digest(self) -> str:
        """Return what tells this point from all others, the same on every machine."""
        text = json.dumps(self.settings, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()[:_DIGEST_LENGTH]

    def __getitem__(self, name: str) -> Setting:
        """Return the value of an option, None where the point leaves it alone."""
        return dict(self.settings).get(name)


@dataclass(frozen=True)
class Measure:
    """What a point costs, in ms or bytes, and what it retains, with the interval of that.

    ``retention`` is None where only the cost was predicted. Less cost is better, and more
    retention, up to 1.
    """

    cost: float
    retention: float | None = None
    low: float = 0.0
    high: float = 1.0
    figures: Mapping[str, float] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Failure:
    """Why a point has no measure, in one line."""

    reason: str

    @property
    def is_final(self) -> bool:
        """Return whether it says something of the point, and not of a package that is missing."""
        return NOT_INSTALLED not in self.reason


Outcome = Measure | Failure


@dataclass(frozen=True)
class Trial:
    """A point with its outcome on each rung that it came to; the last rung sees all samples.

    ``set_aside`` says why it did not go on, "" for a trial that came to the last rung or failed.
    """

    number: int
    point: Point
    outcomes: tuple[Outcome, ...] = ()
    set_aside: str = ""

    @property
    def measure(self) -> Measure | None:
        """Return what the highest rung measured, None where that failed or nothing did."""
        last = self.outcomes[-1] if self.outcomes else None
        return last if isinstance(last, Measure) else None

    def has_ended(self, rungs: int) -> bool:
        """Return whether it goes no further, of so many rungs."""
        return bool(self.set_aside or self.failure) or len(self.outcomes) == rungs

    @property
    def failure(self) -> str:
        """Return why the trial failed, "" where it did not."""
        last = self.outcomes[-1] if self.outcomes else None
        return last.reason if isinstance(last, Failure) else ""
