"""What models that a board has run say of the estimates for its chip: their scale."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

from ..convert.chips.compiler_log import Layer
from ..convert.chips.targets import Target, find_target
from ..convert.compiled_model import CompiledModel
from ..convert.convert import Conversion, with_scale
from ..convert.latency.estimate import Latency
from ..convert.latency.scaled import UNSCALED, estimate_scaled, scale_of
from ..convert.latency.timed_runs import TimedRun, read_record
from ..convert.manifest import is_of, manifest_path, read_manifest
from ..core.diagnostics import mentions, option
from ..core.errors import ModelError, OptionError, ReportError
from ..core.files import real_path, sha256_of
from ..core.measured_kinds import measured_time
from ..core.progress import SILENT, Progress
from ..core.results.model_figures import LatencyScale
from .measured_files import beside_record
from .noise_builds import compilable, require_format
from .options.sample_options import ModelOptions
from .recipes.recipe import Recipe
from .samples.ready_model import ReadyModel, ready_model
from .tasks.installed_toolkit import require_toolkit

_RKNN, _ONNX = ".rknn", ".onnx"


@dataclass(frozen=True)
class _LayerTable:
    """The layers that a version of the toolkit made of a model for a chip."""

    layers: tuple[Layer, ...]
    chip: str
    toolkit: str | None


@dataclass(frozen=True)
class _MeasuredTime:
    """A model's layers on a chip, and what it took there; ``word`` is what the user gave.

    Times with one ``key``, a path or a name in a record, are of one model.
    """

    word: str
    name: str
    key: str
    table: _LayerTable
    ms: float


@dataclass(frozen=True)
class MeasuredModels:
    """The scale of the estimates by chip, and what single files took, in ms by their real path."""

    scales: Mapping[str, LatencyScale]
    times: Mapping[str, float]

    def applied(self, conversion: Conversion, file: Path) -> Conversion:
        """Return a build of a file with its measured time, or with its estimate at the scale."""
        conversion = with_scale(conversion, self.scales.get(conversion.target))
        return replace(conversion, latency=self.latency_of(file, conversion.latency))

    def estimate(self, file: Path, built: CompiledModel) -> Latency | None:
        """Return the same of what a manifest says of a file."""
        chip, scale = find_target(built.target), self.scales.get(built.target)
        latency = estimate_scaled(built.layers, chip, built.toolkit, scale)
        return self.latency_of(file, latency)

    def latency_of(self, file: Path, estimated: Latency | None) -> Latency | None:
        """Return the time of a file, where that is what was measured, else what is estimated."""
        ms = self.times.get(str(real_path(file)))
        if ms is None or estimated is None:
            return estimated
        return replace(estimated, kind="given", ms=ms, low=None, high=None)


def measured_scales(
    recipe: Recipe, targets: Sequence[Target], progress: Progress = SILENT
) -> Mapping[str, LatencyScale]:
    """Return the scale of the estimates by chip; see ``measured_models``."""
    return measured_models(recipe, targets, progress).scales


def measured_models(
    recipe: Recipe, targets: Sequence[Target], progress: Progress = SILENT
) -> MeasuredModels:
    """Return what models took on those of ``targets`` that they were measured on.

    An ONNX model is built for it, in the number format of the recipe; a ``.rknn`` has its layers in
    the manifest, a run of a record there or in the record. Raises RockpressError for what cannot be
    read or estimated, and OptionError for times of another chip.
    """
    by_chip = {target.name: target for target in targets}
    factors: dict[str, dict[str, list[float]]] = {}
    times: dict[str, list[float]] = {}
    for measured in _all_measured(recipe, by_chip, progress):
        chip = measured.table.chip
        factor = measured.ms / _estimated_ms(measured, by_chip[chip])
        factors.setdefault(chip, {}).setdefault(measured.key, []).append(factor)
        times.setdefault(measured.key, []).append(measured.ms)
    return MeasuredModels(
        {chip: scale_of(list(by_model.values())) for chip, by_model in factors.items()},
        {key: fmean(several) for key, several in times.items()},
    )


def _all_measured(
    recipe: Recipe, targets: Mapping[str, Target], progress: Progress
) -> Iterator[_MeasuredTime]:
    """Yield what every word gives; a time given by a name goes before those that a record has."""
    pairs = [(word, *measured_time(word)) for word in recipe.latency.measured]
    recorded = [
        (word, run)
        for word, path, ms in pairs
        if ms is None
        for run in _usable_runs(word, Path(path), targets)
    ]
    named = set()
    for word, path, ms in pairs:
        if ms is None:
            continue
        kind = Path(path).suffix.lower()
        if kind == _RKNN:
            yield _of_rknn(word, Path(path), ms, targets)
        elif kind == _ONNX:
            yield _of_onnx(word, Path(path), ms, recipe, targets, progress)
        else:
            named.add(Path(path).name)
            yield from _of_name(word, Path(path).name, ms, recorded)
    for word, run in recorded:
        if run.model.name not in named:
            yield _of_run(word, run, run.median_ms)


def _usable_runs(word: str, path: Path, targets: Mapping[str, Target]) -> list[TimedRun]:
    runs = [
        run for run in read_record(path).runs if run.is_npu_alone and run.chip.lower() in targets
    ]
    if not runs:
        raise OptionError(
            f"{option('measured', word)} has no run of the NPU alone, in one context on one core, "
            f"on {' or '.join(targets)}",
            "give a record with such a run, or leave it out for this chip",
        )
    return runs


def _of_rknn(word: str, path: Path, ms: float, targets: Mapping[str, Target]) -> _MeasuredTime:
    table = _table_beside(path)
    if table.chip not in targets:
        raise OptionError(
            f"{option('measured', word)} is for {table.chip}, not for {' or '.join(targets)}",
            "give what was measured on the chip that the estimate is for",
        )
    return _MeasuredTime(word, path.stem, str(real_path(path)), table, ms)


def _table_beside(path: Path, digest: str | None = None) -> _LayerTable:
    """Return the layers of a ``.rknn`` by its manifest. Raises RockpressError."""
    if not os.path.isfile(path):  # False for a name that no file can have, too
        raise ModelError(f"{path}: the file does not exist", "give the path of a .rknn file")
    manifest = read_manifest(manifest_path(path))
    if digest not in (None, sha256_of(path)):
        raise ReportError(
            f"{path} is not the file that was timed: it has another digest",
            "keep the .rknn that ran beside the record",
        )
    if not is_of(manifest, path):
        raise ModelError(
            f"{path} is not the file that {manifest_path(path).name} was written for",
            "keep each .rknn with its own manifest",
        )
    return _LayerTable(manifest.layers, manifest.target, manifest.toolkit)


def _of_onnx(
    word: str,
    path: Path,
    ms: float,
    recipe: Recipe,
    targets: Mapping[str, Target],
    progress: Progress,
) -> _MeasuredTime:
    """Build a model as ``inspect`` does, for its layers: the command's own in the size it has."""
    if len(targets) > 1:
        raise OptionError(
            f"{option('measured', word)} does not say on which of {', '.join(targets)} that was",
            "give the .rknn that ran, or a record of the run",
        )
    (target,) = targets.values()
    ready = _ready_to_time(word, path, recipe)
    alone = recipe.with_options(model=path, scheme="w8a8" if recipe.in_int8 else "float16")
    require_format(target, ready, alone)
    require_toolkit(recipe.toolkit.toolkit_python)
    progress.stage(f"compile {path.name} ({target.name})")
    with compilable(ready, alone, [target], progress) as compile_for:
        built = compile_for(target)
    table = _LayerTable(built.layers, target.name, built.toolkit)
    return _MeasuredTime(word, path.stem, str(real_path(path)), table, ms)


def _ready_to_time(word: str, path: Path, recipe: Recipe) -> ReadyModel:
    """Load a model that was timed. Raises ModelError or OptionError, naming the option."""
    is_own = real_path(path) == real_path(recipe.model)
    try:
        return ready_model(path, recipe.shape if is_own else ModelOptions())
    except (ModelError, OptionError) as error:
        text, hint = error.diagnostic.text, error.diagnostic.hint
        if mentions(hint) and not is_own:  # those options are for the command's own model
            hint = "give it with fixed shapes, or the .rknn that ran"
        raise type(error)(f"{option('measured', word)}: {text}", hint) from error


def _of_name(
    word: str, name: str, ms: float, recorded: Iterable[tuple[str, TimedRun]]
) -> Iterator[_MeasuredTime]:
    """Yield the runs of the model of that name, with another time."""
    runs = [(record, run) for record, run in recorded if run.model.name == name]
    if not runs:
        raise OptionError(
            f"{option('measured', word)}: {name!r} is no .onnx, no .rknn, and no model of a record",
            f"give the path of the model, or its record with {option('measured', ['FILE.json'])}",
        )
    by_chip = {run.chip: (record, run) for record, run in runs}
    for record, run in by_chip.values():
        yield _of_run(record, run, ms)


def _of_run(word: str, run: TimedRun, ms: float) -> _MeasuredTime:
    table, key = _LayerTable(run.table, run.chip.lower(), run.toolkit), run.model.name
    if not run.table and run.model.file:
        file = beside_record(Path(word), run.model.file)
        table, key = _table_beside(file, run.model.digest), str(real_path(file))
        if table.chip != run.chip.lower():
            raise ReportError(
                f"{option('measured', word)}: {run.model.file} is for {table.chip}, but the record "
                f"says that it ran on {run.chip}",
                "give the .rknn that ran",
            )
    return _MeasuredTime(word, run.model.name, key, table, ms)


def _estimated_ms(measured: _MeasuredTime, target: Target) -> float:
    """Return the estimate in ms as it is. Raises ReportError where there is none."""
    latency = estimate_scaled(measured.table.layers, target, measured.table.toolkit, UNSCALED)
    if latency is None or not latency.ms or not math.isfinite(latency.ms):
        raise ReportError(
            f"{option('measured', measured.word)}: there is no layer table of {measured.name!r} to "
            "estimate it from",
            "give the .onnx, or the .rknn with its manifest",
        )
    return latency.ms
