"""How many threads a library may use."""

from __future__ import annotations

import os

_VARIABLE = "OMP_NUM_THREADS"


def threads_allowed() -> int:
    """Return what OMP_NUM_THREADS says of the outermost level, 0 when it says nothing.

    More than a thread a core is never faster, and 99,999 do not end.
    """
    first = os.environ.get(_VARIABLE, "").partition(",")[0].strip()
    return min(int(first[:9]), os.cpu_count() or 1) if first.isdecimal() else 0


def cap_threads() -> None:
    """Let the libraries that read OMP_NUM_THREADS themselves find no more than that there."""
    first = os.environ.get(_VARIABLE, "").partition(",")[0].strip()
    if first.isdecimal() and first[:9] != str(threads_allowed()):
        os.environ[_VARIABLE] = str(threads_allowed())
