"""The one place where an exception becomes a message and an exit code.

0    all gates hold                 4    a gate failed (a result: the command raises typer.Exit(4))
1    an error the user can fix      130  interrupted (Ctrl-C); 143 terminated, 129 hung up
2    usage                          141  whoever read the output went away
3    a bug; the log's path is shown
"""

from __future__ import annotations

import math
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType, TracebackType

from ..core.errors import Interrupted, OutputError, RockpressError
from ..core.unfinished import keep_new
from ..report.text.escape import visible
from .shared_words import (
    is_shared,
    leave_unsaid,
    note_said,
    share_hint,
    shared_hint,
    signal_came,
    take_unsaid,
    unsaid,
    was_said,
)
from .shortages import odd_path_of, shortage_of
from .stop_signals import STOPPING, stop_word
from .word_colours import with_colour

BUG = 3
BROKEN_PIPE = 128 + signal.SIGPIPE
_SECONDS_TO_END = 3
_SECONDS_OF_CHILDREN = 0.5
_SECONDS_TO_TRY_AGAIN = 0.05
_SECONDS_TO_HEAR = 0.5  # of a signal, in the process that waits for this one
_stopped_at = -math.inf
_stopped_by: int | None = None
_to_resume = ""


def run(call: Callable[[], object], *, verbose: bool = False) -> int:
    """Call ``call`` and return the exit code; whatever it raises is explained on stderr.

    ``verbose`` adds what caused an error. A traceback goes to a log file, never to the terminal.
    """
    try:
        code = _code_of(call)
        if not stop_word(code):
            keep_new()
    except KeyboardInterrupt:
        code = 128 + signal.SIGINT
    except BrokenPipeError:  # its reader has read what it wanted
        code = BROKEN_PIPE
        keep_new()
        _drop_output()
    except RockpressError as error:
        code = _explain(error, verbose)
    except Exception as error:
        if _stopped_by is not None:  # an import in native code has made something else of it
            return _end(128 + _stopped_by)
        outside = shortage_of(error) or odd_path_of(error)
        if isinstance(outside, OutputError):  # perhaps stdout is what cannot be written
            _drop_output()
        code = _explain(outside, verbose) if outside else _report_bug(error)
    return _end(code)


def _end(code: int) -> int:
    """Return the code; where it is a signal's, say so and end the children first."""
    if word := stop_word(code):
        _end_children()
        if code == 128 + signal.SIGINT and not _is_from_outside():
            return code
        if not was_said():
            _say(word)
            if hint := _to_resume or shared_hint():
                _say(f"hint: {hint}")
        note_said()
    return code


def _is_from_outside() -> bool:
    """Whether a SIGINT was to the command: OpenBLAS raises one where it cannot start a thread."""
    deadline = time.monotonic() + _SECONDS_TO_HEAR
    while is_shared() and not signal_came():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


@contextmanager
def resumable(hint: str) -> Iterator[None]:
    """Give the hint that is shown when a signal stops what is within."""
    global _to_resume
    _to_resume = hint
    share_hint(hint)
    try:
        yield
    finally:
        if _stopped_by is None:
            _to_resume = ""
            share_hint("")


def catch_signals() -> None:
    """Turn Ctrl-C, SIGTERM and SIGHUP into Interrupted(128 + N), so that ``finally`` blocks run.

    A signal that the parent process has us ignore (nohup, a background job) stays ignored.
    """
    for number in STOPPING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _stop)
    sys.unraisablehook = _stop_again


@contextmanager
def signals_let_in() -> Iterator[None]:
    """Let signals through that wait, and again none afterwards: the command has its result then."""
    before = signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _stop(number: int, _frame: FrameType | None) -> None:
    global _stopped_at, _stopped_by
    now = time.monotonic()
    # impatience must not cut short what "finally" blocks still have to clean up
    if now - _stopped_at > _SECONDS_TO_END:
        _stopped_at, _stopped_by = now, number
        raise Interrupted(128 + number)


def _stop_again(lost: sys.UnraisableHookArgs) -> None:
    """Send the signal once more where Python could not raise what came of it.

    In a destructor or a callback of native code an exception is dropped, and all would go on.
    """
    global _stopped_at
    if _stopped_by is None or not isinstance(lost.exc_value, Interrupted):
        sys.__unraisablehook__(lost)
        return
    _stopped_at = -math.inf
    again = threading.Timer(_SECONDS_TO_TRY_AGAIN, os.kill, (os.getpid(), _stopped_by))
    again.daemon = True
    again.start()


def _code_of(call: Callable[[], object]) -> int:
    code: object = 0
    try:
        call()
    except SystemExit as stop:  # how Typer ends, and how a signal arrives (see catch_signals)
        # Typer turns a broken pipe into exit code 1, which would say "an error you can fix".
        if isinstance(stop.__context__, BrokenPipeError):
            raise stop.__context__ from None
        code = stop.code
    if sys.stdout is not None and not sys.stdout.closed:
        sys.stdout.flush()  # here, where a failure can still be told
    return code if isinstance(code, int) else int(code is not None)


def _drop_output() -> None:
    """Point stdout, which cannot be written, elsewhere: Python flushes it once more at exit."""
    with suppress(OSError):
        sys.stdout.flush()
        return
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _explain(error: RockpressError, verbose: bool) -> int:
    _say(f"error: {_short(_one_line(error.message))}")
    if error.hint:
        _say(f"hint: {_one_line(error.hint)}")
    cause = error.__cause__ if verbose else None
    while cause is not None:
        _say(f"cause: {_named(cause)}")
        cause = cause.__cause__
    if log := getattr(error, "log", ""):
        _say(f"log: {_written_log(log)}")
    return error.exit_code


def _report_bug(error: Exception) -> int:
    import traceback

    text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    _say(f"a bug in rockpress: {_named(error)}{_innermost_line(error.__traceback__)}")
    _say(f"log: {_written_log(text)}")
    return BUG


def _named(error: BaseException) -> str:
    return _one_line(f"{type(error).__name__}: {error}")


def _one_line(text: str) -> str:
    return visible(" ".join(text.splitlines()).strip())


def _short(text: str) -> str:
    """Return the text with what has no space and is long, such as a path, cut in its middle."""
    return re.sub(r"\S{201,}", lambda word: f"{word[0][:80]}...{word[0][-117:]}", text)


def _innermost_line(trace: TracebackType | None) -> str:
    """Return the last line of ours that the error came through, as " (in core/files.py:12)"."""
    ours = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
    location = ""
    while trace is not None:
        path = trace.tb_frame.f_code.co_filename
        if path.startswith(ours) and "site-packages" not in path[len(ours) :]:
            location = f" (in {path[len(ours) :]}:{trace.tb_lineno})"
        trace = trace.tb_next
    return location


def _written_log(text: str) -> str:
    """Write the log into the temporary folder and return its path, or why there is none."""
    import shlex
    import tempfile

    head = f"rockpress {shlex.join(sys.argv[1:])}\n{_versions()}\n\n"
    try:
        handle, path = tempfile.mkstemp(prefix="rockpress-", suffix=".log")
        with open(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(head + text)
    except OSError as error:
        return f"could not be written ({error.strerror or error})"
    return path


def _versions() -> str:
    import platform
    from importlib.metadata import PackageNotFoundError, version

    lines = [
        f"{platform.python_implementation()} {platform.python_version()}, {platform.platform()}"
    ]
    for name in ("rockpress", "numpy", "onnx", "onnxruntime", "rknn-toolkit2", "typer"):
        try:
            lines.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            lines.append(f"{name} is not installed")
    return "\n".join(lines)


def _end_children() -> None:
    """End every process below this one: asked first, killed after half a second."""
    import psutil

    from .children import processes_below

    for number in STOPPING:  # impatience must not cut this short; it is over in seconds
        signal.signal(number, signal.SIG_IGN)
    children = processes_below()
    for end in (psutil.Process.terminate, psutil.Process.kill):
        for child in children:
            with suppress(psutil.NoSuchProcess):
                end(child)
        _, children = psutil.wait_procs(children, timeout=_SECONDS_OF_CHILDREN)


def _say(line: str) -> None:
    # A closed stderr must not hide the exit code.
    if sys.stderr is None or sys.stderr.closed or unsaid():
        leave_unsaid(line)
        return
    try:
        print(with_colour(line), file=sys.stderr, flush=True)
    except OSError:  # a full disk; what is left of the line would be tried again at the exit
        leave_unsaid(line)
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def say_unsaid() -> None:
    """Say what a process that shares the word could not: code of others has closed its stderr."""
    for line in take_unsaid():
        _say(line)
