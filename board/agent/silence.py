"""How long nothing has been heard of the other end, by the file that the folder's keeper writes."""

from __future__ import annotations

import os
import signal
import time

_HEARD, _KEEPER = ".heard", ".keeper"  # as board/links/folder_keeper.py has them


class Silence:
    """The other end counts as gone after so many ``seconds``, from when it was heard first."""

    def __init__(self, folder: str, seconds: float) -> None:
        self._folder, self._seconds = folder, seconds
        self._size, self._since = -1, time.monotonic()
        self._is_over = False
        self._keeper = self._keeper_number()

    @property
    def look_seconds(self) -> float:
        """How often to look."""
        return min(5.0, self._seconds / 4)

    def is_over(self) -> bool:
        """Return whether it has lasted too long; never where nothing was ever heard."""
        try:
            size = os.stat(os.path.join(self._folder, _HEARD)).st_size
        except OSError:
            return False
        if size != self._size:
            self._size, self._since = size, time.monotonic()
        self._is_over = time.monotonic() - self._since > self._seconds
        return self._is_over

    def end_keeper(self) -> None:
        """End who keeps the folder, where it has heard nothing and has not ended by itself."""
        if not self._is_over or self._keeper is None or self._keeper_number() != self._keeper:
            return  # it has removed the folder, and somebody else may have its number
        try:
            os.kill(self._keeper, signal.SIGTERM)
        except OSError:
            return

    def _keeper_number(self) -> int | None:
        try:
            with open(os.path.join(self._folder, _KEEPER)) as file:
                return int(file.read(32))
        except (OSError, ValueError):
            return None
