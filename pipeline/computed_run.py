"""A run from its inputs on: the stages of every target, from one baseline, and their report."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..convert.chips.targets import Target
from ..core.diagnostics import Diagnostic
from ..core.errors import RockpressError
from ..core.progress import SILENT, Progress
from ..core.results.model_figures import NOTHING_COMPARED, LatencyScale, Ratios
from ..core.results.report import Report, TargetReport, ToolVersion
from ..core.scratch import scratch_folder
from ..core.version import rockpress_version
from .expected_stages import expected_stages, keep_times
from .figures.last_release import LastRelease, with_changes
from .inputs import RunInputs, open_inputs
from .measured_scales import measured_scales
from .parallel import each_target
from .recipes.recipe import Recipe, recipe_document
from .requirements import require_latency
from .samples.audits import audit_target, sample_ranges
from .stages.baseline import Baseline, measure_baseline
from .stages.stage_list import run_stages
from .stages.stage_log import StageLog
from .stages.target_figures import TargetFigures, target_report
from .stages.target_run import TargetRun


def compute_run(
    recipe: Recipe,
    targets: list[Target],
    version: str,
    last: LastRelease | None,
    folder: Path,
    progress: Progress,
) -> Report:
    """Run every stage of every target, with all files in ``folder``."""
    scales = measured_scales(recipe, targets, progress)
    for target in targets if recipe.board.board is None else ():
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
    keep_times(recipe, report)
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
