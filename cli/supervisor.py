"""A command in a process of its own, under one that can always end it.

ONNX Runtime, onnx and NumPy are native code: they can crash, turn in a loop for ever, or keep
Python from seeing a signal, and the input decides that. So the command runs in a forked process,
and this one does nothing but wait for it: it hands signals on, kills what does not end in time,
removes what that leaves, and says in one line what happened.
"""

from __future__ import annotations

import ctypes
import logging
import math
import mmap
import os
import signal
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import suppress

from ..core import native_work, unfinished
from ..core.cpu_time import MORE_CPU_TIME, spent_cpu_time
from ..core.diagnostics import option
from ..core.errors import FROM_OUTSIDE, RockpressError
from ..core.native_work import NativeWork
from ..core.threads import cap_threads
from ..core.working_time import WorkingTime
from .handler import run, say_unsaid
from .shared_words import note_signal, share_word
from .shortages import memory_is_limited
from .stop_signals import FAULTS, STOPPING, ending_signals, name_of, wait_for_signal

_SECONDS_TO_END = 1.2  # of a command that was told to; then it is killed
_SECONDS_TO_LEAVE = 5  # of one that is done: a thread may be left that never ends
_LOOK_SECONDS = 0.25  # how often it is looked how long native code has been at work
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
# the one that the system ends first when memory runs out: no other program, and not this process
_OOM_SCORE = "500"
_MORE_MEMORY = "allow more memory (ulimit -v)"


def supervised(command: Callable[[], int], *, verbose: bool = False) -> int:
    """Return the exit code of a command that runs in a child process.

    That process returns from here too, with its own code. With ``verbose`` the words of native
    libraries stay on stderr. Where the system cannot wait for signals (macOS) there is no child.
    """
    if not hasattr(signal, "sigtimedwait"):
        return command()
    waited = {signal.SIGCHLD, *ending_signals()}
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, waited)
    native_work.share()
    unfinished.share()
    share_word()
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1)  # who loses its parent is still found below this process
    supervisor, is_done = os.getpid(), mmap.mmap(-1, 2)
    child = os.fork()
    if child:
        return _end_of(child, waited, is_done)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    # the stopping ones wait until what they raise can be told; see signals_let_in()
    signal.pthread_sigmask(signal.SIG_SETMASK, {*before, *STOPPING})
    if os.getppid() != supervisor:  # it has ended before that was said
        os.kill(os.getpid(), signal.SIGKILL)
    with suppress(OSError):  # no open file more may be had: what needs one will tell
        _settle(verbose)
    cap_threads()
    code = command()
    is_done[:] = bytes((1, code))
    return code


def _settle(verbose: bool) -> None:
    """Let others' words not reach stderr, and let the system end this process before others."""
    with suppress(OSError), open("/proc/self/oom_score_adj", "w") as score:
        score.write(_OOM_SCORE)
    if sys.warnoptions:  # PYTHONWARNINGS=error would break the imports of others
        warnings.simplefilter("default" if verbose else "ignore")
    if verbose or sys.stderr is None or sys.stderr.fileno() != 2:
        return
    warnings.simplefilter("ignore")
    logging.lastResort = None
    own = os.dup(2)
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 2)  # that of native code
    if sys.stdout is None or sys.stdout.fileno() != 1:  # see own_streams()
        os.dup2(silent, 1)
    os.close(silent)
    sys.stderr = open(  # noqa: SIM115  (it is open until the process ends)
        own, "w", buffering=1, encoding=sys.stderr.encoding, errors="backslashreplace"
    )


def _end_of(child: int, waited: set[int], is_done: mmap.mmap) -> int:
    """Wait for the child and return the exit code of the command; say what the child could not."""
    code, stopped_by, stuck = _watched(child, waited, is_done)
    say_unsaid()
    if stuck:
        return run(lambda: _raise(_too_long(stuck)))
    number = stopped_by or max(0, -code)
    if _has_children():
        _kill_all()
    if code:
        unfinished.remove_unfinished()
    if not stopped_by and (is_done[1] if is_done[0] else code) == 128 + signal.SIGINT:
        return run(lambda: _raise(_interrupted_itself()))
    if is_done[0] and (not stopped_by or code == 0):
        return is_done[1]  # whatever a library or a metric makes of it when Python ends
    if not number:
        return run(lambda: _raise(_vanished(code)))
    _kill_all()
    if number in (signal.SIGKILL, signal.SIGXCPU) or (number in FAULTS and not stopped_by):
        return run(lambda: _raise(_ended_by(number)))
    return run(lambda: sys.exit(128 + number))


def _has_children() -> bool:
    """Return whether a process is left below this one, which gets those that lose their parent."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def _watched(
    child: int, waited: set[int], is_done: mmap.mmap
) -> tuple[int, int, NativeWork | None]:
    """Return the child's code (-N by signal N), the signal that came for it (0), and what stuck.

    Such a signal is handed on; the child is killed when it does not end then or when it is done,
    and when a piece of native work takes longer than its limit.
    """
    stopped_by, deadline, stuck, work = 0, math.inf, None, _WorkInTime()
    while True:
        ended, status = os.waitpid(child, os.WNOHANG | os.WUNTRACED | os.WCONTINUED)
        if ended and (os.WIFEXITED(status) or os.WIFSIGNALED(status)):
            stopped_by = stopped_by or wait_for_signal(waited - {signal.SIGCHLD}, 0)
            if stopped_by:
                note_signal()
            return os.waitstatus_to_exitcode(status), stopped_by, stuck
        if ended:
            work.is_stopped = os.WIFSTOPPED(status)
        stuck = stuck or work.overdue()
        if is_done[0] and not stopped_by:
            deadline = min(deadline, time.monotonic() + _SECONDS_TO_LEAVE)
        if stuck or time.monotonic() > deadline:
            _kill_all(child)
        number = wait_for_signal(waited, _LOOK_SECONDS)
        if number not in (0, signal.SIGCHLD):
            note_signal()  # before it is handed on
            for sent in (number, signal.SIGCONT):
                with suppress(ProcessLookupError):
                    os.kill(child, sent)
            if not stopped_by:
                stopped_by, deadline = number, time.monotonic() + _SECONDS_TO_END


class _WorkInTime:
    """Knows how long each piece of native work has been going on while it could."""

    def __init__(self) -> None:
        self.is_stopped = False
        self._clock = WorkingTime()
        self._begun: dict[float, float] = {}

    def overdue(self) -> NativeWork | None:
        """Return one that takes longer than it may."""
        if self.is_stopped:
            self._clock.skip()
        now, works = self._clock.seconds(), native_work.unfinished_work()
        self._begun = {work.since: self._begun.get(work.since, now) for work in works}
        late = (work for work in works if now - self._begun[work.since] > work.limit)
        return next(late, None)


def _kill_all(child: int = 0) -> None:
    """Kill every process below this one, and remove what they were making."""
    import psutil

    from .children import processes_below

    for process in processes_below():
        with suppress(psutil.NoSuchProcess):
            process.kill()
    if child:  # where it cannot be found, but is not waited for yet
        os.kill(child, signal.SIGKILL)
    unfinished.remove_unfinished()


def _raise(error: RockpressError) -> None:
    raise error


def _vanished(code: int) -> RockpressError:
    """Say of a process that it left by itself: its code is no result of ours."""
    hint = "a metric of your own must not call os._exit()"
    if memory_is_limited():
        hint = f"{_MORE_MEMORY}, without which some libraries leave; {hint}"
    return RockpressError(
        f"the command's process ended itself with code {code} before it was done", hint
    )


def _interrupted_itself() -> RockpressError:
    """Say why nobody pressed Ctrl-C: OpenBLAS raises SIGINT where a thread cannot be started."""
    return RockpressError(
        "the process of the command was interrupted (SIGINT), but not the command: a library does "
        "that where it cannot start its threads",
        f"{_MORE_MEMORY} or more processes (ulimit -u)",
    )


def _too_long(work: NativeWork) -> RockpressError:
    return RockpressError(
        f"stopped: {work.text} for more than {work.limit:g} s",
        f"look for a loop in the model, or give it more time with {option('timeout')}",
    )


def _ended_by(number: int) -> RockpressError:
    if number == signal.SIGXCPU:
        spent = spent_cpu_time(number)
        return RockpressError(
            f"the process of the command has used {spent} ({name_of(number)})", MORE_CPU_TIME
        )
    if spent := spent_cpu_time(number):
        return RockpressError(
            f"the process of the command {FROM_OUTSIDE}, perhaps for having used {spent}",
            MORE_CPU_TIME,
        )
    if number == signal.SIGKILL:
        return RockpressError(
            f"the process of the command {FROM_OUTSIDE}, perhaps by the system for want of memory",
            "close other programs, or use fewer jobs, a smaller calibration set or model",
        )
    work = native_work.unfinished_work()
    when = f" when {work[-1].text}" if work else ""
    return RockpressError(
        f"native code crashed{when} ({name_of(number)})",
        "check the model with onnx.checker and in ONNX Runtime alone; --verbose shows what the "
        "library said",
    )
