"""The signals that end a command, and what is said then.

It is imported before all else, and while it is, a signal is still Python's: so it imports little.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from types import FrameType

# what a person, a shell or a scheduler sends: the command ends in order
STOPPING: dict[int, str] = {
    signal.SIGINT: "interrupted",
    signal.SIGTERM: "terminated",
    signal.SIGHUP: "hung up",
}
# what a process does to itself; sent from outside it cannot be told from that
FAULTS = frozenset(
    {
        *(signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL),
        *(signal.SIGSYS, signal.SIGTRAP),
    }
)
_NOT_ENDING = {
    *(signal.SIGCHLD, signal.SIGCONT, signal.SIGURG, signal.SIGWINCH),
    *(signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU),
    signal.SIGKILL,  # nobody can wait for it
}


def ending_signals() -> set[int]:
    """Return all that end a process unless it does something about them, but SIGKILL.

    One that the parent process has us ignore (nohup, a background job) stays ignored.
    """
    ending = signal.valid_signals() - _NOT_ENDING
    return {int(number) for number in ending if signal.getsignal(number) != signal.SIG_IGN}


def name_of(number: int) -> str:
    """Return SIGQUIT, or "signal 40" where there is no name.

    >>> name_of(signal.SIGQUIT)
    'SIGQUIT'
    """
    named = {item.value: item.name for item in signal.Signals}
    return named.get(number, f"signal {number}")


def stop_word(code: int) -> str:
    """Return what is said of an exit code 128 + N: how the command was ended; "" of any other.

    >>> stop_word(130), stop_word(131), stop_word(4)
    ('interrupted', 'ended by SIGQUIT', '')
    """
    number = code - 128
    # of a reader that went away nothing is said: there is nobody to read it
    if number not in signal.valid_signals() - {signal.SIGPIPE}:
        return ""
    return STOPPING.get(number, f"ended by {name_of(number)}")


def wait_for_signal(numbers: Iterable[int], seconds: float) -> int:
    """Wait for one of these signals, which are blocked; return it, or 0 when none came in time.

    Python's own signal.sigtimedwait() will not do: interrupted when its time is up, as it is by a
    Ctrl-Z and what follows, it returns a signal that nobody sent (3.10 to 3.12).
    """
    import ctypes

    word = 8 * ctypes.sizeof(ctypes.c_ulong)
    signals = (ctypes.c_ulong * (1024 // word))()  # a sigset_t
    for number in numbers:
        signals[(number - 1) // word] |= 1 << (number - 1) % word
    time = (ctypes.c_long * 2)(int(seconds), int(seconds % 1 * 1e9))  # a timespec
    arrived: int = ctypes.CDLL(None).sigtimedwait(signals, None, time)
    return max(0, arrived)


def leave_quietly() -> None:
    """Until something else is said of them, let those signals end the process at once.

    Nothing has been made yet. Python's own way would be a traceback, or no word at all.
    """
    for number in STOPPING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _leave)


def _leave(number: int, _frame: FrameType | None) -> None:
    try:
        os.write(2, f"{stop_word(128 + number)}\n".encode())
    finally:
        os._exit(128 + number)
