"""Code of the user's: whatever it does is an error that names it, and stdout is not its own."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import wraps
from traceback import format_exception_only
from types import TracebackType
from typing import Any, TextIO, get_args

import numpy as np
from numpy.typing import NDArray

from ...core.errors import Interrupted, OptionError, RockpressError
from ...core.results.predictions import Prediction
from .measurement import Measurement, Scores, Sums
from .metric import Metric
from .process_state import ProcessState

_METHODS = (
    *("__init__", "bound", "fits", "predict", "measure"),
    *("agreement", "details", "shown", "truth"),
)
_READ_ONLY = "outputs and labels are the comparison's own too: work on a copy of them"
_NO_EXIT = 'it must not end the program: put what a script does below if __name__ == "__main__"'


@dataclass(frozen=True)
class UserCode:
    """A block in which code of the user's runs; ``task`` says what it cannot do, or that it failed.

    Whatever comes out of it, SystemExit too, is raised as an OptionError, but for errors of ours
    and for what stops the command. What it prints goes to stderr; a copy that it forks ends here;
    the working folder, the streams, the modules and the environment are what they were afterwards.
    """

    task: str
    hint: str

    def __enter__(self) -> None:
        _ASIDE.enter()

    def __exit__(
        self, _: object, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if os.getpid() != _ASIDE.process:  # a copy, by os.fork(): the rest is the original's
            os._exit(1)
        try:
            _ASIDE.leave()
        except OSError as lost:
            error = error or lost
        if error is None or _stops_the_command(error):
            return
        words = format_exception_only(type(error), error)[-1].strip()
        raise OptionError(f"{self.task}: {words}", _hint_of(error) or self.hint) from error


def _stops_the_command(error: BaseException) -> bool:
    """Whether it is ours, or a Ctrl-C's; where that raises something else it is the metric's."""
    if isinstance(error, KeyboardInterrupt):
        return signal.getsignal(signal.SIGINT) is signal.default_int_handler
    return isinstance(error, (RockpressError, Interrupted))


def _hint_of(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return _NO_EXIT
    return _READ_ONLY if isinstance(error, ValueError) and "read-only" in str(error) else ""


def read_only(value: Any) -> Any:
    """Return arrays, and lists of them, as views that cannot be written to, all else as it is.

    What a metric computes in place would be in the comparison of the outputs too.
    """
    if isinstance(value, np.ndarray):
        view = value.view()
        view.flags.writeable = False
        return view
    if type(value) in (list, tuple):
        return type(value)(read_only(each) for each in value)
    return value


class _StdoutAside:
    """Puts a stream of its own to stderr in the place of stdout, as long as any thread asks.

    What all code of the process shares is there afterwards as it was before.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._before: ProcessState | None = None
        self.process = os.getpid()

    def enter(self) -> None:
        with self._lock:
            self._users += 1
            self.process = os.getpid()
            if self._users == 1:
                self._before = ProcessState()
                sys.stdout = _to_stderr()

    def leave(self) -> None:
        with self._lock:
            self._users -= 1
            if self._users == 0 and self._before is not None:
                self._before.put_back()
                self._before = None


def _to_stderr() -> TextIO:
    try:
        number = sys.stderr.fileno()  # not 2, which may be for native code alone
        return os.fdopen(os.dup(number), "w", buffering=1, errors="backslashreplace")
    except (AttributeError, OSError, ValueError):  # there is none, or it is no file
        return open(os.devnull, "w", encoding="utf-8")


_ASIDE = _StdoutAside()


def guarded_class(metric: type[Metric], name: str) -> type[Metric]:
    """Return a subclass of a user's metric, all of whose methods run as code of the user's."""

    def guarded(method: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(method)
        def call(*values: Any, **named: Any) -> Any:
            with UserCode(f"the metric {name!r} failed", f"in its {method.__name__}()"):
                return method(*map(read_only, values), **named)

        return call

    methods = {called: guarded(getattr(metric, called)) for called in _METHODS}
    measure = methods["measure"]

    @wraps(metric.measure)
    def measured(*values: Any) -> Measurement:
        return _guarded_measurement(name, measure(*values))

    @wraps(metric.plain)
    def plain(*values: Any) -> Prediction | None:
        with UserCode(f"the metric {name!r} failed", "plain() gives a prediction of core/results"):
            value = metric.plain(*values)
            if not isinstance(value, (type(None), *get_args(Prediction))):
                raise TypeError(f"plain() gave {type(value).__name__}")
        return value

    own_name = property(guarded(lambda self: str(super(cls, self).name)))
    cls: type[Metric] = type(
        metric.__name__,
        (metric,),
        {**methods, "measure": measured, "plain": plain, "name": own_name},
    )
    return cls


def _guarded_measurement(name: str, measurement: Measurement) -> Measurement:
    guarded = _GuardedMeasurement(name, measurement)
    if not isinstance(measurement, Sums):
        return guarded
    with UserCode(f"the metric {name!r} failed", "its Sums have scores (N,) and rows (N, S)"):
        scores, rows = (
            np.asarray(values, np.float64) for values in (guarded.scores, measurement.rows)
        )
        if scores.ndim != 1 or rows.ndim != 2 or len(scores) != len(rows):
            raise ValueError(f"scores of shape {scores.shape}, rows of {rows.shape}")
        return replace(measurement, scores=scores, rows=rows, formula=guarded.of_sums)


@dataclass(frozen=True)
class _GuardedMeasurement:
    """What a user's metric measured: its formula is the user's too."""

    metric: str
    measurement: Measurement

    @property
    def scores(self) -> Scores:
        return np.asarray(self._asked("scores"), np.float64)

    @property
    def resamples(self) -> int:
        return int(self._asked("resamples"))

    @property
    def value(self) -> float:
        return float(self._asked("value"))

    def resampled(self, counts: NDArray[Any]) -> Scores:
        return np.asarray(self._asked("resampled", counts), np.float64)

    def of_sums(self, sums: Scores) -> Scores:
        return np.asarray(self._asked("of_sums", sums), np.float64)

    def _asked(self, name: str, *values: Any) -> Any:
        with UserCode(f"the metric {self.metric!r} failed", f"in {name} of what it measured"):
            asked = getattr(self.measurement, name)
            return asked(*values) if values else asked
