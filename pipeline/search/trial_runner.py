"""What runs trials: processes of this machine, or something else with the same two methods."""

from __future__ import annotations

import subprocess
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from ...core.errors import OutputError
from .points import Failure, Outcome
from .trial_process import TrialJob, run_trial


class TrialRunner(Protocol):
    """Runs trials; several threads call it at once."""

    def run(self, job: TrialJob, *, with_files: bool) -> Outcome:
        """Run a trial to its end; its files come to ``job.folder``, the result's only if asked for.

        What goes wrong in the trial is a Failure. Raises RockpressError where no trial can run.
        """
        ...

    def close(self) -> None:
        """End the trials at work, and run no other."""
        ...


@dataclass
class TrialProcesses:
    """Runs each trial in a process of this machine."""

    _processes: set[subprocess.Popen[bytes]] = field(init=False, default_factory=set)
    _lock: threading.Lock = field(init=False, default_factory=threading.Lock)
    _is_closed: bool = False

    def run(self, job: TrialJob, *, with_files: bool) -> Outcome:
        """Run a trial; its files are there anyway."""
        own: list[subprocess.Popen[bytes]] = []
        try:
            return run_trial(job, partial(self._started, own))
        except OutputError as error:
            return Failure(error.message)
        finally:
            self._processes.difference_update(own)

    def close(self) -> None:
        """End the processes."""
        with self._lock:
            self._is_closed = True
            for process in self._processes:
                with suppress(ProcessLookupError):
                    process.terminate()

    def _started(
        self, own: list[subprocess.Popen[bytes]], process: subprocess.Popen[bytes]
    ) -> None:
        with self._lock:
            own.append(process)
            self._processes.add(process)
            if self._is_closed:
                process.terminate()
