"""The half of the agent that waits: for the end of the other half, of the link, or a signal.

Native code may hang or crash, and a cut connection is not always told, so what was changed on the
board is put back by a process in which nothing of that runs. Who keeps the folder over a link that
can be cut without a word writes into a file there whenever it hears of the other end.
"""

from __future__ import annotations

import ctypes
import os
import select
import shutil
import signal
import sys

from .clock_setting import put_back
from .silence import Silence
from .wire import Wire
from .worker import LOG, Worker, last_words

_SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
_DEATH_SIGNAL = 1  # of prctl
_GONE = select.POLLHUP | select.POLLERR | getattr(select, "POLLRDHUP", 0x2000)


def main() -> None:
    """Serve the other end at stdin and stdout; remove the agent's folder at any end."""
    folder = os.path.dirname(os.path.realpath(sys.argv[0]))
    os.umask(0o077)
    wire = _moved_streams(folder)
    wire.send({"agent": 1, "python": "{}.{}.{}".format(*sys.version_info[:3])})
    reader, writer = os.pipe()
    for number in _SIGNALS:
        signal.signal(number, lambda *_: None)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer)
    child = os.fork()
    if child == 0:
        _work(wire, folder)
    silence = Silence(folder, float(sys.argv[1])) if len(sys.argv) > 1 else None
    status = _watched(child, reader, wire, silence)
    if status is not None and status != 0:
        _tell(wire, folder, status)
    put_back(folder)
    if silence is not None:
        silence.end_keeper()
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(0 if status == 0 else 1)


def _moved_streams(folder: str) -> Wire:
    """Keep stdin and stdout for the protocol; what anybody prints goes to the log."""
    source, sink = os.dup(0), os.dup(1)
    log = os.open(os.path.join(folder, LOG), os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for descriptor, place in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(descriptor, place)
    return Wire(source, sink)


def _work(wire: Wire, folder: str) -> None:
    """Serve in the child; it ends with its parent."""
    signal.set_wakeup_fd(-1)
    for number in (*_SIGNALS, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
    status = 70
    try:
        Worker(wire, folder).serve()
        status = 0
    except (EOFError, BrokenPipeError):
        status = 0  # the other end is gone, and told no more
    finally:
        if status:
            sys.excepthook(*sys.exc_info())
        os._exit(status)


def _watched(child: int, signalled: int, wire: Wire, silence: Silence | None) -> int | None:
    """Return how the child ended; None when the other end went or a signal came before."""
    milliseconds = None if silence is None else 1000 * silence.look_seconds
    poll = select.poll()
    poll.register(signalled, select.POLLIN)
    poll.register(wire.source, _GONE)
    while True:
        events: list[tuple[int, int]] = poll.poll(milliseconds)
        numbers = os.read(signalled, 64) if any(fd == signalled for fd, _ in events) else b""
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status
        is_over = silence is not None and silence.is_over()
        is_told = any(number != signal.SIGCHLD for number in numbers)
        if is_over or is_told or len(events) > bool(numbers):
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return None


def _tell(wire: Wire, folder: str, status: int) -> None:
    """Tell the other end why no reply comes any more."""
    number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    text = signal.Signals(number).name if number else f"exit status {status >> 8}"
    error = {"code": "crash", "text": text, "signal": number, "log": last_words(folder)}
    try:
        wire.send({"id": None, "error": error})
    except OSError:
        return
