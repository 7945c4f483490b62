"""A ``.rknn`` on a board: what it gives for samples, and how long it takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from ...accuracy.board_runner import BoardRunner
from ...board.board_session import BenchSettings, BoardSession, open_board
from ...board.faults.runtime_faults import RUNTIME_MISSING
from ...calibration_data.samples import Samples
from ...convert.chips.targets import Target, find_target, runs_on
from ...convert.manifest import Manifest
from ...core.diagnostics import option
from ...core.errors import BoardError, OptionError
from ...core.progress import Progress
from ...core.results.board_figures import BoardFacts, BoardTimings, LoadedModel
from ...core.types import Array, Shape
from ..options.board_options import BOARD_SECONDS
from ..recipes.recipe import Recipe

# a time beside the accuracy; bench measures more
_SETTINGS = BenchSettings(runs=50, drift_runs=0, energy_seconds=0.0)


@dataclass(frozen=True)
class BoardFile:
    """A ``.rknn`` to run: the names of its inputs in their order, ``rows`` as in BoardRunner.

    ``shapes`` are the inputs' where it takes several: the largest, which all is measured in.
    """

    path: Path
    target: Target
    inputs: Sequence[str]
    rows: int = 1
    shapes: tuple[Shape | None, ...] = ()


@dataclass(frozen=True)
class BoardRun:
    """What a board says of itself, its outputs (N, ...) for the samples, and its times."""

    facts: BoardFacts
    outputs: list[Array] = field(repr=False)
    timings: BoardTimings


@contextmanager
def open_board_of(recipe: Recipe) -> Iterator[BoardSession]:
    """Yield a session with the board of a recipe, which has one. Raises BoardError."""
    assert recipe.board.board is not None
    seconds = recipe.toolkit.timeout if recipe.is_explicit("timeout") else BOARD_SECONDS
    with open_board(recipe.board.board, seconds) as session:
        yield session


def load_there(session: BoardSession, file: BoardFile, *, layers: bool = False) -> LoadedModel:
    """Load a file on the first core, where a chip lets it be chosen. Raises BoardError."""
    mask = 1 if file.target.cores > 1 else 0
    return session.load(file.path, layers=layers, core_mask=mask, shapes=file.shapes)


def board_file(path: Path, manifest: Manifest) -> BoardFile:
    """Return a ``.rknn`` as its manifest says that it is fed."""
    inputs, rows = [feed.name for feed in manifest.inputs], manifest.rknn_batch_size
    shapes = shapes_of(inputs, manifest.input_sets)
    return BoardFile(path, find_target(manifest.target), inputs, rows, shapes)


def shapes_of(
    inputs: Sequence[str], input_sets: Sequence[Mapping[str, Shape]]
) -> tuple[Shape | None, ...]:
    """Return the first shapes of the inputs, which are the largest; () where each has one."""
    return tuple(input_sets[0].get(name) for name in inputs) if input_sets else ()


def run_on_board(recipe: Recipe, file: BoardFile, samples: Samples, progress: Progress) -> BoardRun:
    """Run a file on the board of a recipe over samples, then time it.

    Every sample is a step of ``progress``. Raises BoardError, OptionError for another chip.
    """
    with open_board_of(recipe) as session:
        facts, runner = session.facts(), _loaded(session, file)
        outputs = runner(samples, progress=progress)
        timings = session.bench(_SETTINGS, partial(progress.step, "time"))
    return BoardRun(facts, outputs, timings)


@contextmanager
def loaded_on_board(recipe: Recipe, file: BoardFile) -> Iterator[BoardRunner]:
    """Yield a runner of a file on the board of a recipe. Raises as ``run_on_board``."""
    with open_board_of(recipe) as session:
        yield _loaded(session, file)


def _loaded(session: BoardSession, file: BoardFile) -> BoardRunner:
    require_chip(session.facts(), file.target)
    loaded = load_there(session, file)
    return BoardRunner(session, loaded, file.inputs, file.rows)


def require_loadable(recipe: Recipe, file: BoardFile) -> None:
    """Raise BoardError for a board that cannot load a file, OptionError for another chip."""
    with loaded_on_board(recipe, file):
        pass


def require_board(recipe: Recipe, target: Target) -> None:
    """Raise BoardError for a board that cannot run anything, OptionError for another chip."""
    with open_board_of(recipe) as session:
        facts = session.facts()
    require_chip(facts, target)
    if facts.runtime_path is None:
        raise BoardError(
            f"{recipe.board.board} has no librknnrt.so in the usual folders",
            RUNTIME_MISSING.hint,
            fault=RUNTIME_MISSING.name,
        )


def require_chip(facts: BoardFacts, target: Target) -> None:
    """Raise OptionError where a board is known to have another chip than a file is for."""
    if facts.chip is not None and not runs_on(target, facts.chip):
        raise OptionError(
            f"the board has {facts.chip}, and the .rknn is for {target.name}",
            f"build it for the board's chip, or name another {option('board')}",
        )


def require_rknn(address: str | None, models: Sequence[Path]) -> None:
    """Raise OptionError for a board and no file that it could run."""
    if address is not None and all(model.suffix.lower() != ".rknn" for model in models):
        raise OptionError(
            f"{option('board', address)} is for a .rknn, and {models[-1]} is none",
            "convert it first, or leave the board out",
        )
