"""What goes wrong between our two ends: the one on the board ends, or says nonsense."""

from __future__ import annotations

import signal

from ...core.diagnostics import option
from ...core.errors import BoardError
from .fault import Fault, fault_in
from .place_faults import NO_PYTHON
from .runtime_faults import CRASHED, KILLED

_REPORT = "start again; if it happens again please report it, with the log"

BOARD_HANGS = Fault(
    "board-hangs",
    "nothing has come from {board} for {seconds} s",
    f"the NPU may hang: restart the board; or allow more time with {option('timeout')}",
)
BROKEN_REPLY = Fault(
    "broken-reply",
    "the reply of {board} is broken: {line}",
    f"something else may write into the connection; {_REPORT}",
)
REPLY_TOO_LARGE = Fault(
    "reply-too-large",
    "{board} wants to send {size} bytes, and {most} are the most",
    _REPORT,
)
NOISE = Fault(
    "noise",
    "{board} prints without end before our program starts: {line}",
    "look at what the user's shell prints there when it starts (.bashrc)",
)
OTHER_AGENT = Fault(
    "other-agent",
    "what answers on {board} is another version of our program: {line}",
    _REPORT,
)
NO_MODULE = Fault(
    "no-module",
    "Python of {board} lacks a part of its standard library: {line}",
    "install the whole of Python there, with ctypes (apt install python3, or libffi in Buildroot)",
    r"No module named|ModuleNotFoundError|ImportError|libffi",
)
AGENT_ENDED = Fault(
    "agent-ended",
    "our program on {board} ended with code {code}: {line}",
    _REPORT,
)
AGENT_FAULTS = (
    *(BOARD_HANGS, BROKEN_REPLY, REPLY_TOO_LARGE, NOISE, OTHER_AGENT),
    *(NO_MODULE, AGENT_ENDED),
)


def agent_end(board: str, code: int, output: str) -> BoardError:
    """Return why the program on the board has ended by itself.

    ``code`` is 128 + N where a signal ended it; ``output`` is what it or its shell has printed.
    """
    number = code - 128 if code > 128 else -code
    if number in (signal.SIGKILL, signal.SIGTERM):
        return KILLED.error(board, signal.Signals(number).name, log=output)
    if number in (signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGILL, signal.SIGFPE):
        return CRASHED.error(board, signal.Signals(number).name, log=output)
    if code == 127:
        return NO_PYTHON.error(board, output, log=output)
    fault = fault_in(output, (NO_MODULE,)) or AGENT_ENDED
    return fault.error(board, output, log=output, code=str(code))
