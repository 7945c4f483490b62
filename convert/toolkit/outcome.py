"""How long and how large a job of the child process may get, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Of one job: wall-clock seconds, gigabytes of address space, seconds without any work.

    A child that has used no CPU time for ``idle`` seconds hangs, and will not come back.
    """

    timeout: float
    memory_gb: float
    idle: float = 120


@dataclass(frozen=True)
class Outcome:
    """How a job ended. ``code`` is None when it was stopped: at its time limit, or before.

    ``looping`` names the optimisation rule without which it would have come to an end.
    """

    code: int | None
    stage: str
    hung: bool = False
    looping: str = ""
