"""The child process that rknn-toolkit2 runs in: started, watched, and ended with all it started."""

from __future__ import annotations

import errno
import os
import re
import selectors
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

from ...core.diagnostics import option
from ...core.progress import Progress
from ...core.working_time import WorkingTime
from .failures import Limits, Outcome, ToolkitMissing

LOG = "log.txt"
_CHILD = Path(__file__).with_name("child.py")
_FINISHED = "finished"
# of files, processes or memory: that is not the interpreter's fault
_SHORT = (errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM)
_LOOK_SECONDS = 0.5  # how often it is looked whether the child still works
_APPLIED = re.compile(rb"(\w+): remove node = .*")
_MOVES = "swap_"  # such rules only move an operator: a model can be built without them
_WORK_SECONDS = 0.05  # of CPU time between two looks; an idle process uses less in minutes


class ChildProcess:
    """One child, which takes a job folder after another. A context manager; ends with its block.

    It must be used by the thread that made it: when that thread ends, the kernel ends the child.
    """

    def __init__(self, folder: Path, python: Path | None = None) -> None:
        """Start it in ``folder``, that of the first job. Raises ToolkitMissing if it cannot."""
        orders, self._orders = os.pipe()
        self._progress, progress = os.pipe()
        self._pending = b""
        with ExitStack() as ends:
            ends.callback(self._close_pipes)
            try:
                self._process = _start(folder, python, orders, progress)
            finally:
                os.close(orders)
                os.close(progress)
            ends.pop_all()  # it has started, so its ends stay open

    def __enter__(self) -> ChildProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """Its process number, which is that of its session too."""
        return self._process.pid

    def run(self, folder: Path, limits: Limits, progress: Progress) -> Outcome:
        """Do the job in ``folder``. A child whose job did not end with code 0 is no more."""
        with suppress(BrokenPipeError):  # it has ended already; its code says how
            os.write(self._orders, os.fsencode(folder) + b"\n")
        clock = WorkingTime()
        work = _Work(self._process.pid, limits.idle, clock)
        loops = RuleLoops(folder / LOG)
        stage = "start"
        for line in self._lines(limits.timeout, clock, lambda: work.is_over() or loops.is_found()):
            if line == _FINISHED:
                return Outcome(0, stage)
            stage = line.partition(" ")[0]
            progress.step(*_step_of(line))
        if work.is_hung:
            return Outcome(None, stage, hung=True)
        if loops.rule:
            return Outcome(None, stage, looping=loops.rule)
        return Outcome(self._exit_code(limits.timeout - clock.seconds()), stage)

    def close(self) -> None:
        """End the child and whatever it started: it is the leader of a session of its own."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._close_pipes()

    def _close_pipes(self) -> None:
        for pipe in (self._orders, self._progress):
            with suppress(OSError):
                os.close(pipe)
        self._orders = self._progress = -1

    def _lines(
        self, timeout: float, clock: WorkingTime, will_not_end: Callable[[], bool]
    ) -> Iterator[str]:
        """Its progress lines, until it ends, is known not to, or time is up.

        While nothing comes the last one is said again, so that who listens can end the job by
        raising. When it ends, a process that it started may still hold the pipe open.
        """
        last = "start"
        with selectors.DefaultSelector() as selector:
            selector.register(self._progress, selectors.EVENT_READ)
            while (left := timeout - clock.seconds()) > 0:
                has_ended = self._process.poll() is not None
                if not selector.select(0 if has_ended else min(left, _LOOK_SECONDS)):
                    if has_ended or will_not_end():
                        return
                    yield last
                    continue
                chunk = os.read(self._progress, 4096)
                if not chunk:
                    return
                *lines, self._pending = (self._pending + chunk).split(b"\n")
                for line in lines:
                    last = line.decode()
                    yield last

    def _exit_code(self, seconds: float) -> int | None:
        try:
            return self._process.wait(max(0.0, seconds))
        except subprocess.TimeoutExpired:
            return None


def _step_of(line: str) -> tuple[str, int, int | None]:
    """Return a progress line of the child as a step; of samples it says ``simulate 50/200``."""
    activity, _, count = line.partition(" ")
    done, slash, total = count.partition("/")
    return (activity, int(done), int(total)) if slash else (line, 0, None)


class _Work:
    """Whether a process and its children have used CPU time lately."""

    def __init__(self, pid: int, idle: float, clock: WorkingTime) -> None:
        self._pid = pid
        self._idle = idle
        self._clock = clock
        self._seconds = 0.0
        self._since = 0.0
        self.is_hung = False

    def is_over(self) -> bool:
        """Return whether no CPU time has been used for the idle limit, while it could be."""
        if _is_stopped(self._pid):
            self._clock.skip()
        now, used = self._clock.seconds(), _cpu_seconds(self._pid)
        if abs(used - self._seconds) > _WORK_SECONDS:
            self._seconds, self._since = used, now
        self.is_hung = now - self._since > self._idle
        return self.is_hung


class RuleLoops:
    """Reads a log while it grows. Each rule that the toolkit applies is a line there.

    Seen with toolkit 2.5.0 on attention: one rule swaps a Reshape and a Transpose, the next brings
    the Transpose back to four axes, a third joins the Reshapes, and the first starts again.
    """

    # The same rule on the same nodes: once in builds that end (five models), else without end.
    MOST = 8

    def __init__(self, log: Path) -> None:
        self._log = log
        self._read = 0
        self._applied: Counter[bytes] = Counter()
        self.rule = ""  # one that goes round in a circle, once some do: the best to do without

    def is_found(self) -> bool:
        """Return whether rules go round in a circle by now."""
        with self._log.open("rb") as log:
            log.seek(self._read)
            whole = log.read().rpartition(b"\n")[0]
        self._read += len(whole)
        self._applied.update(match[0] for match in _APPLIED.finditer(whole))
        if max(self._applied.values(), default=0) <= self.MOST:
            return False
        circling = [line for line, times in self._applied.items() if 2 * times > self.MOST]
        rules = [line.partition(b":")[0].decode() for line in circling]
        self.rule = min(rules, key=lambda rule: not rule.startswith(_MOVES))
        return True


def _is_stopped(pid: int) -> bool:
    import psutil  # here, as an unchanged run need not have it

    with suppress(psutil.Error):
        return bool(psutil.Process(pid).status() == psutil.STATUS_STOPPED)
    return False


def _cpu_seconds(pid: int) -> float:
    import psutil

    total = 0.0
    with suppress(psutil.Error):
        parent = psutil.Process(pid)
        for process in (parent, *parent.children(recursive=True)):
            with suppress(psutil.Error):
                times = process.cpu_times()
                total += times.user + times.system
    return total


def _start(
    folder: Path, python: Path | None, orders: int, progress: int
) -> subprocess.Popen[bytes]:
    command = [_program(python), str(_CHILD), *map(str, (orders, progress))]
    with (folder / LOG).open("wb") as log:
        try:
            return subprocess.Popen(
                [*command, str(os.getpid())],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={
                    **os.environ,
                    "TMPDIR": str(folder),
                    "PYTHONUNBUFFERED": "1",
                    "PYTHONWARNINGS": "",  # "error" would make failures of the toolkit's own
                },
                pass_fds=(orders, progress),
                start_new_session=True,
            )
        except OSError as error:
            if error.errno in _SHORT:
                raise
            raise ToolkitMissing(
                f"cannot start {command[0]}: {error.strerror or error}",
                f"{option('toolkit-python')} takes the path of a Python interpreter",
            ) from error


def _program(python: Path | None) -> str:
    """As it is found from any folder; a bare name is looked up by the system."""
    if python is None:
        return sys.executable
    return str(python if len(python.parts) == 1 else python.absolute())
