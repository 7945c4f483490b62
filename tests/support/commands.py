"""The command line of tests, in this process and in others."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

COMMAND = [sys.executable, "-m", "rockpress"]


class Ended(NamedTuple):
    """Exit code of a command, and what it printed."""

    code: int
    out: str
    err: str


# That of the fixture ``rockpress``: a command in this process.
Run = Callable[..., Ended]


def in_a_process(*args: object, **settings: Any) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own, with ``settings`` of ``subprocess.run``."""
    settings = {"capture_output": True, "text": True, "timeout": 300} | settings
    return subprocess.run([*COMMAND, *map(str, args)], **settings)
