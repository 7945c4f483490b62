"""Memory that was freed, given back to the system."""

from __future__ import annotations

import ctypes


def trim_heap() -> None:
    """Let the C library return what it keeps for later, where it can (glibc).

    Models and activations come and go by tens of megabytes, and glibc keeps what lies between
    small pieces that are still in use: 88 MB once EfficientNet-Lite0 (18 MB) was prepared.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
