"""The whole chain: prune, quantize, convert and check, for every target of a recipe."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..convert.chips.targets import Target
from ..core.diagnostics import Diagnostic, in_order
from ..core.errors import RockpressError
from ..core.files import require_file, sha256_of, staging, write_text
from ..core.progress import SILENT, Progress
from ..core.results.model_figures import NOTHING_COMPARED, LatencyScale, Ratios
from ..core.results.report import Report, StageRun, TargetReport, ToolVersion
from ..core.scratch import scratch_folder
from ..core.version import rockpress_version
from ..report.documents.document import to_json
from .caching.cached_tasks import TaskCache
from .caching.content_keys import content_of, samples_digest
from .caching.stage_cache import watch_hits
from .expected_stages import expected_stages, keep_times
from .figures.last_release import (
    LastRelease,
    open_last_release,
    require_comparable,
    require_kept,
    with_changes,
)
from .filled_recipe import fill_recipe
from .inputs import RunInputs, open_inputs
from .measured_scales import measured_files, measured_scales
from .options.option_table import GROUPS
from .output_files import archive_stale, require_names
from .parallel import each_target
from .recipes.recipe import Recipe, recipe_document
from .requirements import require_latency, require_possible
from .samples.audits import audit_target, sample_ranges
from .stages.baseline import Baseline, measure_baseline
from .stages.stage_list import run_stages
from .stages.stage_log import StageLog
from .stages.target_figures import TargetFigures, target_report
from .stages.target_run import TargetRun
from .tasks.converting import require_toolkit
from .tasks.superseded import superseded_files

REPORT_FILE = "report.json"


def run(recipe: Recipe, output: Path, progress: Progress = SILENT) -> Report:
    """Run a recipe and write everything to ``output``: a folder a target, and report.json.

    What cannot work is found before minutes are spent. Files appear in ``output`` only when all
    targets are finished; a gate that fails is a result, so the files and the report are there.
    When one of several targets fails, the report says so and the others' files are there; files
    of an earlier run for it are moved to ``<target>.old``. Raises RockpressError when nothing
    worked, AllFailed among them: nothing is left behind then.

    With ``recipe.cache``, stages whose inputs, options and code have not changed are not run
    again; of an unchanged recipe nothing is.

    What nobody gave is taken from the family of the model; the report says what. It tells its
    warnings and errors in the words of whoever runs it; see diagnostics.py.
    """
    filled = fill_recipe(recipe, "run", progress)
    recipe = filled.recipe
    targets, last, version = preflight(recipe, output)
    with staging(output) as folder, watch_hits() as lookups:
        report = whole_run(
            recipe,
            version,
            lambda work: _run_targets(recipe, targets, version, last, work, progress),
            folder,
        )
        if lookups.all_were_hits:
            progress.cached("all of it")
            report = _as_cached(report)
        else:
            keep_times(recipe, report)
        # the cache has it as it is, and for every way to come to the same options
        report = replace(rendered(report), family=filled.family)
        write_text(folder / REPORT_FILE, to_json(report))
        old = [
            file
            for target in targets
            if target.name not in report.failures
            for file in superseded_files(
                output / target.name / f"{recipe.model.stem}.rknn", folder / target.name
            )
        ]
    for file in old:
        file.unlink(missing_ok=True)
    for name in report.failures:
        archive_stale(output / name, recipe.model.stem)
    return report


def preflight(recipe: Recipe, output: Path) -> tuple[list[Target], LastRelease | None, str]:
    """Return the targets, the last release and the toolkit's version; open no model yet.

    Raises RockpressError for what would be found only after minutes.
    """
    targets = require_possible(recipe)
    require_kept(recipe, output / REPORT_FILE)
    last = open_last_release(recipe)
    require_comparable(last, recipe, [target.name for target in targets])
    require_names(output, recipe.model.stem)
    version = require_toolkit(recipe.toolkit.toolkit_python)
    for file in [REPORT_FILE, *(f"{target.name}/{recipe.model.stem}.rknn" for target in targets)]:
        require_file(output / file)
    return targets, last, version


def _run_targets(
    recipe: Recipe,
    targets: list[Target],
    version: str,
    last: LastRelease | None,
    folder: Path,
    progress: Progress,
) -> Report:
    """Run every stage of every target, with all files in ``folder``."""
    scales = measured_scales(recipe, targets, progress)
    for target in targets:
        require_latency(target, recipe.gates.max_latency_ms, scales.get(target.name))
    inputs = open_inputs(recipe)
    progress.plan(expected_stages(inputs, recipe, targets), recipe.toolkit.jobs or 1)
    log = StageLog(progress)
    audits = _audit_targets(inputs, recipe, targets, progress)
    base = measure_baseline(*inputs, recipe, log)
    warnings = {name: (*base.warnings, *audit) for name, audit in audits.items()}
    with scratch_folder() as work:
        runs = _TargetRuns(base, warnings, log, folder, work, scales)
        outcomes = each_target(targets, recipe, runs.run, progress)
        report = Report(
            tool=ToolVersion("rockpress", rockpress_version()),
            toolkit=ToolVersion("rknn-toolkit2", version),
            recipe=recipe_document(recipe),
            targets=tuple(map(runs.report, targets, outcomes)),
        )
    return with_changes(report, recipe, last)


def _audit_targets(
    inputs: RunInputs, recipe: Recipe, targets: list[Target], progress: Progress
) -> dict[str, tuple[Diagnostic, ...]]:
    """Return the warnings on the model for each target, before minutes are spent on it.

    Those that all have are given to ``progress`` once, the others to that of their target.
    """
    ready, calib, evaluation = inputs
    ranges = sample_ranges(ready, calib)
    audits = {
        target.name: audit_target(
            ready,
            target,
            SILENT,  # until it is known which are those of all
            toolkit_python=recipe.toolkit.toolkit_python,
            quantization="normal" if recipe.in_int8 else "float16",
            preprocess=evaluation.npu_preprocess,
            ranges=ranges,
            keeps_parts_apart=True,  # or quantize warns of it
        )
        for target in targets
    }
    _tell(audits, progress)
    return audits


def _tell(audits: Mapping[str, tuple[Diagnostic, ...]], progress: Progress) -> None:
    first, *others = audits.values()
    shared = [warning for warning in first if all(warning in each for each in others)]
    for warning in shared:
        progress.warn(warning)
    for name, warnings in audits.items():
        if rest := [warning for warning in warnings if warning not in shared]:
            own = progress.of(name)
            for warning in rest:
                own.warn(warning)


def whole_run(
    recipe: Recipe, version: str, compute: Callable[[Path], Report], folder: Path
) -> Report:
    """Return the report of a whole run, whose files come into ``folder``; maybe from the cache."""
    return TaskCache(recipe.stage_cache).run_in("run", RunKey(recipe, version), compute, folder)


@dataclass(frozen=True)
class RunKey:
    """What decides a whole run: not what only decides how long it takes, or whether it ends.

    Samples are read for its key only where there is a cache.
    """

    recipe: Recipe
    version: str

    def key(self) -> dict[str, Any]:
        """Return it. Raises RockpressError when something cannot be read."""
        recipe, baseline = self.recipe, self.recipe.gates.baseline
        samples = (recipe.samples.calib, recipe.samples.eval)
        return {
            **{name: content_of(getattr(recipe, name)) for name in GROUPS if name != "toolkit"},
            "model": content_of(recipe.model),
            "toolkit": (self.version, str(recipe.toolkit.toolkit_python)),
            "toolkit-config": recipe.toolkit.toolkit_config,
            "digests": [samples_digest(path) if path else None for path in samples],
            "baseline": sha256_of(baseline) if baseline else None,
            "measured": [sha256_of(file) for file in measured_files(recipe)],
        }


def rendered(report: Report) -> Report:
    """Return the report with its warnings once, by what they cost, and in the reader's words."""
    targets = [
        replace(target, warnings=in_order(warning.rendered() for warning in target.warnings))
        for target in report.targets
    ]
    return replace(report, targets=tuple(targets))


def _as_cached(report: Report) -> Report:
    """Return the report of a run that was not run again, with the times that it took then."""

    def cached(stage: StageRun) -> StageRun:
        return replace(stage, status="cached") if stage.status == "done" else stage

    targets = [
        replace(target, stages=tuple(map(cached, target.stages))) for target in report.targets
    ]
    return replace(report, targets=tuple(targets))


@dataclass(frozen=True)
class _TargetRuns:
    """The run of each target, from the same baseline; of one that fails no file is kept."""

    base: Baseline
    warnings: Mapping[str, tuple[Diagnostic, ...]]
    log: StageLog
    folder: Path
    work: Path
    scales: Mapping[str, LatencyScale]
    logs: dict[str, StageLog] = field(default_factory=dict)

    def run(self, target: Target, recipe: Recipe, progress: Progress) -> TargetReport:
        """Run one target; it may be run again after it failed."""
        folder, work = self.folder / target.name, self.work / target.name
        log = self.logs[target.name] = StageLog(progress, self.log.runs)
        _remove(folder)
        base = self.base
        samples, scale = (base.calib, base.evaluation), self.scales.get(target.name)
        run = TargetRun(base.ready, *samples, recipe, target, folder, work, scale)
        figures = TargetFigures(base, self.warnings[target.name])
        try:
            run_stages(run, figures, log)
            return target_report(run, figures, log.runs)
        except RockpressError:
            _remove(folder)
            raise
        finally:
            _remove(work)

    def report(self, target: Target, outcome: TargetReport | RockpressError) -> TargetReport:
        """Return the report of a target, also of one that failed."""
        if isinstance(outcome, TargetReport):
            return outcome
        return TargetReport(
            target=target.name,
            models=(),
            retention=NOTHING_COMPARED,
            ratios=Ratios(),
            pruning=None,
            warnings=self.warnings[target.name],
            stages=self.logs[target.name].runs,
            error=outcome,
        )


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)
