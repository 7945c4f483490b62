"""The CPU time that the system gives a process (``ulimit -t``) before it ends it."""

from __future__ import annotations

import resource
import signal

MORE_CPU_TIME = "allow more CPU time (ulimit -t)"


def spent_cpu_time(number: int) -> str:
    """Return the limit in words if it may be why a signal ended a process; "" if not.

    The system sends SIGXCPU at the soft limit, and SIGKILL where that is the hard one too.
    """
    limit, _ = resource.getrlimit(resource.RLIMIT_CPU)
    is_limited = limit != resource.RLIM_INFINITY
    if number == signal.SIGXCPU or (number == signal.SIGKILL and is_limited):
        return f"its {limit} s of CPU time" if is_limited else "its CPU time"
    return ""
