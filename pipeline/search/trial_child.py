"""Becomes a Python that ends when whoever started it does: ``python trial_child.py PARENT WORD...``

The kernel sends SIGTERM then, so that it removes what it was making; it does so too when the thread
ends that started it. Nothing of rockpress is imported here, and the words are those of Python.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def become(parent: int, words: list[str]) -> None:
    """Replace this process by Python with other words; it does not return."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it ended before the call above
            sys.exit(1)
    os.execv(sys.executable, [sys.executable, *words])


if __name__ == "__main__":
    become(int(sys.argv[1]), sys.argv[2:])
