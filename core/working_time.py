"""The time that work had: not that in which its processes were stopped, or the machine slept."""

from __future__ import annotations

import time

_LONGEST = 2.0  # seconds between two looks, on a machine that is busy


class WorkingTime:
    """A clock that somebody looks at several times a second.

    After Ctrl-Z, SIGSTOP or the sleep of a laptop much time has passed since the last look, and
    nothing has been done in it: of the time between two looks only the first seconds count.
    """

    def __init__(self) -> None:
        """Begin at 0."""
        self._seconds = 0.0
        self._last = time.monotonic()

    def seconds(self) -> float:
        """Return the seconds that count until now."""
        now = time.monotonic()
        self._seconds += min(now - self._last, _LONGEST)
        self._last = now
        return self._seconds

    def skip(self) -> None:
        """Let the time since the last look not count."""
        self._last = time.monotonic()
