"""A byte now and then, by which a board knows that this side is still there."""

from __future__ import annotations

import os
import threading
from contextlib import suppress

INTERVAL = 5.0  # seconds


class Heartbeat:
    """Writes a line into a pipe at once and then every few seconds, in a thread of its own."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor, self._end = descriptor, threading.Event()
        # what leads to the board may be stopped: then a beat is lost, and nobody waits for it
        os.set_blocking(descriptor, False)
        self._thread = threading.Thread(target=self._beat, daemon=True, name="heartbeat")
        self._thread.start()

    def stop(self) -> None:
        """End it; nothing is written afterwards."""
        self._end.set()
        self._thread.join()

    def _beat(self) -> None:
        while not self._end.is_set():
            with suppress(OSError):
                os.write(self._descriptor, b"\n")
            self._end.wait(INTERVAL)
