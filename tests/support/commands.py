"""The command line of tests, in this process and in others."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

# Exit code, stdout and stderr of a command: see the fixture ``rockpress``.
Ended = tuple[int, str, str]
Run = Callable[..., Ended]

COMMAND = [sys.executable, "-m", "rockpress"]


def in_a_process(*args: object, **settings: Any) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own, with ``settings`` of ``subprocess.run``."""
    settings = {"capture_output": True, "text": True, "timeout": 300} | settings
    return subprocess.run([*COMMAND, *map(str, args)], **settings)
