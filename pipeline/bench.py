"""Measure a ``.rknn`` on a board, and put it beside what was estimated of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from functools import partial
from pathlib import Path

from ..board.board_session import BenchSettings, BoardSession
from ..convert.chips.targets import Target, find_target
from ..convert.latency.timed_runs import read_record
from ..convert.manifest import Manifest
from ..core.diagnostics import option
from ..core.errors import ModelError, OptionError
from ..core.files import sha256_of
from ..core.progress import SILENT, Progress
from ..core.results.bench_figures import BenchedModel, BoardBench, MeasuredLayer
from ..core.results.board_figures import BoardLayer
from .bench_record import append_bench
from .figures.bench_warnings import bench_warnings
from .figures.build_figures import latency_figures, layer_rows
from .inspection import RknnInspection, inspect_rknn
from .recipes.recipe import Recipe
from .tasks.board_run import BoardFile, board_file, load_there, open_board_of, require_chip

_ROUNDS = 10
_RKNN = ".rknn"


def bench_file(
    recipe: Recipe, *, record: Path | None = None, progress: Progress = SILENT
) -> BoardBench:
    """Measure the model of a recipe, a ``.rknn``, on its board; append it to a ``record``.

    One that takes several shapes of its inputs is measured in the largest. Raises OptionError
    without a board, ModelError or
    ReportError for files that are none such, and BoardError.
    """
    path = recipe.model
    if path.suffix.lower() != _RKNN:
        raise ModelError(f"{path}: only a .rknn runs on a board", "convert the model first")
    if recipe.board.board is None:
        raise OptionError(
            f"{option('board')} is not given",
            f"say where the board is, such as {option('board', 'ssh://user@192.168.1.20')}",
        )
    if record is not None and record.exists():
        read_record(record)  # now, not when all is measured
    inspection = inspect_rknn(path)
    manifest = None if inspection.disagreements else inspection.manifest
    target = find_target(inspection.file.target)
    progress.stage("connect")
    with open_board_of(recipe) as session:
        bench = _measured(session, recipe, inspection, target, manifest, progress)
    for warning in bench.warnings:
        progress.warn(warning)
    if record is not None:
        append_bench(record, bench, path, manifest)
    return bench


def _measured(
    session: BoardSession,
    recipe: Recipe,
    inspection: RknnInspection,
    target: Target,
    manifest: Manifest | None,
    progress: Progress,
) -> BoardBench:
    path, options = recipe.model, recipe.bench
    facts = session.facts()
    require_chip(facts, target)
    if options.set_clocks:
        session.set_clocks()
    progress.stage("load")
    file = board_file(path, manifest) if manifest else BoardFile(path, target, ())
    loaded = load_there(session, file)
    progress.stage("measure")
    settings = BenchSettings(
        runs=options.runs,
        rounds=_ROUNDS,
        contexts=tuple(range(1, target.cores + 1)),
        cores=target.cores,
        drift_runs=options.drift_runs,
    )
    timings = session.bench(settings, partial(progress.step, "run"))
    layers: tuple[MeasuredLayer, ...] = ()
    if recipe.board.layers:
        progress.stage("layers")
        load_there(session, file, layers=True)
        layers = joined_layers(session.layer_times(), manifest)
    estimate = next(iter(latency_figures(manifest)), None) if manifest else None
    model = _benched(path, inspection, manifest)
    return BoardBench(
        model=model,
        date=date.today().isoformat(),
        board=facts,
        loaded=loaded,
        run=timings.run,
        npu=timings.npu,
        timings=timings,
        estimate=estimate,
        ratio=timings.run.p50 / model.rows / estimate.ms if estimate and estimate.ms else None,
        layers=layers,
        layers_ratio=_ratio(layers),
        warnings=bench_warnings(timings, facts),
    )


def _benched(path: Path, inspection: RknnInspection, manifest: Manifest | None) -> BenchedModel:
    file = inspection.file
    return BenchedModel(
        name=path.stem,
        bytes=file.bytes,
        digest=sha256_of(path),
        target=file.target,
        toolkit=file.toolkit,
        quantization=manifest.quantization if manifest else None,
        rows=manifest.rknn_batch_size if manifest else 1,
    )


def joined_layers(
    measured: Sequence[BoardLayer], manifest: Manifest | None
) -> tuple[MeasuredLayer, ...]:
    """Return the layers of the runtime's table, with the estimates of those of the same name."""
    estimated: defaultdict[str, list[float | None]] = defaultdict(list)
    for row in layer_rows(manifest) if manifest else ():
        estimated[row.name].append(row.ms)
    joined = []
    for layer in measured:
        same = estimated[layer.name]
        ms = same.pop(0) if same else None
        us = None if ms is None else 1000 * ms
        joined.append(MeasuredLayer(layer.name, layer.op, layer.runs_on, layer.us, us))
    return tuple(joined)


def _ratio(layers: Sequence[MeasuredLayer]) -> float | None:
    """Return all that was measured over all that was estimated, of the layers that have both."""
    both = [(layer.us, layer.estimated_us) for layer in layers if layer.estimated_us]
    return sum(us for us, _ in both) / sum(us or 0.0 for _, us in both) if both else None
