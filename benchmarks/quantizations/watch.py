"""Run a command and write what it took: ``python watch.py REPORT LIMIT COMMAND ARGUMENT...``.

A small process between the benchmark and what it measures: Linux hands the peak memory of the
process that starts a command on to the command, so it must be started by something small. The
standard library alone is used, as little of it as possible.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time

_STEP = 0.02  # seconds


def main() -> None:
    """Write code (None at the limit of seconds), seconds, CPU seconds and peak MB."""
    report, limit, command = sys.argv[1], float(sys.argv[2]), sys.argv[3:]
    start = time.monotonic()
    child = os.posix_spawn(command[0], command, os.environ, setpgroup=0)
    ended, status, usage = os.wait4(child, os.WNOHANG)
    while not ended and time.monotonic() - start < limit:
        time.sleep(_STEP)
        ended, status, usage = os.wait4(child, os.WNOHANG)
    if not ended:
        os.killpg(child, signal.SIGKILL)
        _, status, usage = os.wait4(child, 0)
    result = {
        "code": os.waitstatus_to_exitcode(status) if ended else None,
        "seconds": time.monotonic() - start,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "peak_mb": usage.ru_maxrss * 1024 / 1e6,
    }
    with open(report, "w") as file:
        json.dump(result, file)


if __name__ == "__main__":
    main()
