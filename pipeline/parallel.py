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
from ..convert.toolkit.failures import ToolkitCrashed, ToolkitEnded, ToolkitOutOfMemory
from ..core.diagnostics import Diagnostic
from ..core.errors import RockpressError
from ..core.progress import ExpectedStage, Progress
from .recipes.recipe import Recipe

_CRASH = "toolkit-crash"
_LOOK_SECONDS = 0.2  # how often it is looked whether a signal has come


class WithWarnings(Protocol):
    """A result with warnings: the report of a target, or a conversion."""

    @property
    def warnings(self) -> Sequence[Diagnostic]:
        """What was seen on the way."""


S = TypeVar("S")
T = TypeVar("T", bound=WithWarnings)
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

    def before(self, deadline: float) -> Progress:
        return _Stoppable(self._progress.before(deadline), self._stop)

    def plan(self, stages: Sequence[ExpectedStage], at_once: int = 1) -> None:
        self._progress.plan(stages, at_once)

    def stage(self, name: str) -> None:
        self._check()
        self._progress.stage(name)

    def step(self, activity: str, done: int, total: int | None = None) -> None:
        self._check()
        self._progress.step(activity, done, total)

    def cached(self, name: str) -> None:
        self._progress.cached(name)

    def warn(self, diagnostic: Diagnostic) -> None:
        self._progress.warn(diagnostic)

    @property
    def shown(self) -> frozenset[tuple[str, str]]:
        return self._progress.shown

    def note(self, text: str) -> None:
        self._progress.note(text)

    def end(self, status: str) -> None:
        self._progress.end(status)

    def _check(self) -> None:
        if self._stop.is_set():
            raise Stopped


def each_target(
    targets: Sequence[Target], recipe: Recipe, build: Build[T], progress: Progress
) -> list[T | RockpressError]:
    """Return what ``build`` gives for every target, in their order, or the error that it raised.

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
    progresses = [progress.of(target.name) for target in targets]
    width = min(recipe.toolkit.jobs or 1, len(targets))
    outcomes: list[T | RockpressError | None] = [None] * len(targets)
    if width > 1:
        memory = recipe.toolkit.memory_limit / width
        jobs = max(1, recipe.toolkit.processes // width)
        share = recipe.with_options(memory_limit=memory, jobs=jobs)
        outcomes = _side_by_side(targets, share, build, progresses, width)
    finished = [
        _alone(target, recipe, build, own) if outcome is None else outcome
        for target, own, outcome in zip(targets, progresses, outcomes, strict=True)
    ]
    _require_success([target.name for target in targets], finished)
    return finished


def _side_by_side(
    targets: Sequence[Target],
    share: Recipe,
    build: Build[T],
    progresses: Sequence[Progress],
    width: int,
) -> list[T | RockpressError | None]:
    """Return all outcomes; None for a target to be built again with more memory."""
    stop = threading.Event()
    with ThreadPoolExecutor(width, "rockpress") as pool:
        try:
            futures = [
                pool.submit(_in_share, target, share, build, _Stoppable(own, stop))
                for target, own in zip(targets, progresses, strict=True)
            ]
            for future in all_or_first_exception(futures):
                future.result()  # raises what is no error of a target
        finally:
            stop.set()  # those that go on, if any, end at their next step
            pool.shutdown(cancel_futures=True)
    return [future.result() for future in futures]


def all_or_first_exception(futures: Sequence[Future[S]]) -> set[Future[S]]:
    """Wait until all are finished or one has raised, and return the finished ones."""
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
        limit = f"{share.toolkit.memory_limit:g} GB"
        progress.note(f"{target.name}: failed in {limit}, to be built again alone")
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


def _may_lack_memory(outcome: WithWarnings | RockpressError) -> bool:
    """Return whether it crashed, maybe for want of memory, even if that was got round."""
    if isinstance(outcome, RockpressError):
        return isinstance(outcome, (ToolkitOutOfMemory, ToolkitCrashed, ToolkitEnded))
    return any(warning.code == _CRASH for warning in outcome.warnings)


def _require_success(
    names: Sequence[str], outcomes: Sequence[WithWarnings | RockpressError]
) -> None:
    errors = [outcome for outcome in outcomes if isinstance(outcome, RockpressError)]
    if len(errors) == len(outcomes):
        distinct = {(type(error), error.diagnostic) for error in errors}
        raise errors[0] if len(distinct) == 1 else AllFailed(dict(zip(names, errors, strict=True)))
