"""Several targets, one after the other or side by side; when one fails, the others go on.

Side by side means in threads: what takes long is done by child processes, NumPy and ONNX Runtime,
which all let other threads run. A target stays in one thread from its start to its end, because
the kernel ends the toolkit's child when the thread that started it ends.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from typing import Protocol, TypeVar

from ..convert.chips.targets import Target
from ..convert.toolkit.failures import ToolkitCrashed, ToolkitOutOfMemory
from ..core.diagnostics import Diagnostic
from ..core.errors import RockpressError
from ..core.progress import Progress
from .recipes.recipe import Recipe

_CRASH = "toolkit-crash"
_LOOK_SECONDS = 0.2  # how often it is looked whether a signal has come


class Coded(Protocol):
    """A warning with a code."""

    @property
    def code(self) -> str:
        """Its stable code, such as toolkit-crash."""


class Warned(Protocol):
    """A result with warnings: the report of a target, or a conversion."""

    @property
    def warnings(self) -> Sequence[Coded]:
        """What was seen on the way."""


S = TypeVar("S")
T = TypeVar("T", bound=Warned)
Build = Callable[[Target, Recipe, Progress], T]


class AllFailed(RockpressError):
    """None of several targets could be built; ``errors`` says why, by the target's name."""

    def __init__(self, errors: Mapping[str, RockpressError]) -> None:
        name, first = next(iter(errors.items()))
        super().__init__(
            f"all {len(errors)} targets failed; {name}: {first.diagnostic.text}",
            first.diagnostic.hint,
        )
        self.errors = dict(errors)
        self.exit_code = min(error.exit_code for error in errors.values())


class Stopped(BaseException):
    """Ends a thread whose work is not wanted any more; like KeyboardInterrupt, no error."""


class _Stoppable(Progress):
    """Passes everything on until ``stop`` is set, and raises from then on."""

    def __init__(self, progress: Progress, stop: threading.Event) -> None:
        self._progress = progress
        self._stop = stop

    def of(self, target: str) -> Progress:
        return _Stoppable(self._progress.of(target), self._stop)

    def stage(self, name: str) -> None:
        self._check()
        self._progress.stage(name)

    def step(self, what: str, done: int, total: int | None = None) -> None:
        self._check()
        self._progress.step(what, done, total)

    def cached(self, name: str) -> None:
        self._progress.cached(name)

    def warn(self, notice: Diagnostic) -> None:
        self._progress.warn(notice)

    @property
    def told(self) -> frozenset[tuple[str, str]]:
        return self._progress.shown

    def end(self, status: str) -> None:
        self._progress.end(status)

    def _check(self) -> None:
        if self._stop.is_set():
            raise Stopped


def each_target(
    targets: Sequence[Target], recipe: Recipe, build: Build[T], progress: Progress
) -> list[T | RockpressError]:
    """What ``build`` gives for every target, in their order, or the error that it raised.

    ``build`` is called with a target, the recipe and its progress; up to as many calls as the
    recipe has jobs run side by side, each with its share of the memory limit. One that runs out of
    memory, or crashes, in less than all of the memory is called again alone with all of it, after
    the others.

    An error of the only target is raised. Raises AllFailed when all of several failed, or their
    error itself when it is the same for all. Other exceptions, KeyboardInterrupt among them, end
    all targets and are raised when these have ended.
    """
    if len(targets) == 1:
        return [build(targets[0], recipe, progress)]
    told = [progress.of(target.name) for target in targets]
    width = min(recipe.toolkit.jobs or 1, len(targets))
    outcomes: list[T | RockpressError | None] = [None] * len(targets)
    if width > 1:
        memory, jobs = (
            recipe.toolkit.memory_limit / width,
            max(1, recipe.toolkit.processes // width),
        )
        share = recipe.with_options(memory_limit=memory, jobs=jobs)
        outcomes = _side_by_side(targets, share, build, told, width)
    finished = [
        _alone(target, recipe, build, one) if outcome is None else outcome
        for target, one, outcome in zip(targets, told, outcomes, strict=True)
    ]
    _require_one({target.name: one for target, one in zip(targets, finished, strict=True)})
    return finished


def _side_by_side(
    targets: Sequence[Target],
    share: Recipe,
    build: Build[T],
    observers: Sequence[Progress],
    width: int,
) -> list[T | RockpressError | None]:
    """All outcomes; None for a target to be built again with more memory."""
    stop = threading.Event()
    with ThreadPoolExecutor(width, "rockpress") as pool:
        try:
            futures = [
                pool.submit(_in_share, target, share, build, _Stoppable(one, stop))
                for target, one in zip(targets, observers, strict=True)
            ]
            for future in all_or_first_exception(futures):
                future.result()  # raises what is no error of a target
        finally:
            stop.set()  # those that go on, if any, end at their next step
            pool.shutdown(cancel_futures=True)
    return [future.result() for future in futures]


def all_or_first_exception(futures: Sequence[Future[S]]) -> set[Future[S]]:
    """The finished ones, as soon as all are or one has raised."""
    while True:
        # For ever would be deaf: a signal that comes just before this thread begins to wait, or
        # that the system gives to another thread, does not wake it (see "Execution of Python signal
        # handlers" in the signal module).
        done, waiting = wait(futures, _LOOK_SECONDS, FIRST_EXCEPTION)
        if not waiting or any(future.exception() for future in done):
            return done


def _in_share(
    target: Target, share: Recipe, build: Build[T], progress: Progress
) -> T | RockpressError | None:
    outcome = _outcome(target, share, build, progress)
    if _may_lack_memory(outcome):
        progress.stage(f"failed in {share.toolkit.memory_limit:g} GB, to be built again alone")
        return None
    progress.end("failed" if isinstance(outcome, RockpressError) else "done")
    return outcome


def _alone(
    target: Target, recipe: Recipe, build: Build[T], progress: Progress
) -> T | RockpressError:
    outcome = _outcome(target, recipe, build, progress)
    progress.end("failed" if isinstance(outcome, RockpressError) else "done")
    return outcome


def _outcome(
    target: Target, recipe: Recipe, build: Build[T], progress: Progress
) -> T | RockpressError:
    try:
        return build(target, recipe, progress)
    except RockpressError as error:
        return error.with_traceback(None)  # which would keep the arrays of its frames


def _may_lack_memory(outcome: Warned | RockpressError) -> bool:
    """A crash may be a failed allocation, also one that was got round: alone it may not come."""
    if isinstance(outcome, RockpressError):
        return isinstance(outcome, (ToolkitOutOfMemory, ToolkitCrashed))
    return any(warning.code == _CRASH for warning in outcome.warnings)


def _require_one(outcomes: Mapping[str, Warned | RockpressError]) -> None:
    errors = {name: one for name, one in outcomes.items() if isinstance(one, RockpressError)}
    if len(errors) < len(outcomes):
        return
    said = {(type(error), error.diagnostic) for error in errors.values()}
    raise next(iter(errors.values())) if len(said) == 1 else AllFailed(errors)
