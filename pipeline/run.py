"""The whole chain: prune, quantize, convert and check, for every target of a recipe."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from .. import __version__
from ..calibration_data.samples import Samples
from ..convert.chips.targets import Target
from ..core.diagnostics import Diagnostic, option
from ..core.errors import OptionError, RockpressError
from ..core.files import require_file, staging, write_text
from ..core.progress import SILENT, Progress
from ..core.results.model_figures import NOTHING_COMPARED, Ratios
from ..core.results.report import Report, StageRun, TargetReport, ToolVersion
from ..core.scratch import scratch_folder
from ..report.documents.document import to_json
from .caching.cached_stages import whole_run
from .caching.stage_cache import counted
from .figures.last_release import (
    LastRelease,
    open_last_release,
    require_comparable,
    require_kept,
    with_changes,
)
from .figures.robustness import require_images
from .parallel import each_target
from .recipes.recipe import Recipe, recipe_document
from .recipes.requirements import require_possible, require_toolkit
from .samples.audits import audited, ranges_seen
from .samples.bound_metric import require_labels, scoring_of
from .samples.ready_model import ReadyModel, ready_model
from .stages.baseline import Baseline, measure_baseline
from .stages.chain import Chain
from .stages.distilling import parted
from .stages.pruning import prunes, require_layers
from .stages.stage_log import Stages
from .stale_outputs import set_aside

REPORT_FILE = "report.json"


def run(
    recipe: Recipe,
    output: Path,
    progress: Progress = SILENT,
) -> Report:
    """Run a recipe and write everything to ``output``: a folder a target, and report.json.

    What cannot work is found before minutes are spent. Files appear in ``output`` only when all
    targets are finished; a gate that fails is a result, so the files and the report are there.
    When one of several targets fails, the report says so and the others' files are there; files
    of an earlier run for it are moved to ``<target>.old``. Raises RockpressError when nothing
    worked, AllFailed among them: nothing is left behind then.

    With ``recipe.cache``, stages whose inputs, options and code have not changed are not run
    again; of an unchanged recipe nothing is.

    The report tells its warnings and errors in the words of whoever runs it; see diagnostics.py.
    """
    targets, last, version = admitted(recipe, output)
    with staging(output) as folder, counted() as is_known:
        report = whole_run(
            recipe,
            version,
            lambda place: _run(recipe, targets, version, last, place, progress),
            folder,
        )
        if is_known():
            progress.cached("all of it")
            report = _known_before(report)
        report = rendered(report)  # the cache has it as it is
        write_text(folder / REPORT_FILE, to_json(report))
    for name in report.failures:
        set_aside(output / name, recipe.model.stem)
    return report


def admitted(recipe: Recipe, output: Path) -> tuple[list[Target], LastRelease | None, str]:
    """The targets, the last release and the toolkit's version, before any model is opened.

    Raises RockpressError for what would be found only after minutes.
    """
    targets = require_possible(recipe)
    require_kept(recipe, output / REPORT_FILE)
    last = open_last_release(recipe)
    require_comparable(last, recipe, [target.name for target in targets])
    version = require_toolkit(recipe.toolkit_python)
    for file in [REPORT_FILE, *(f"{one.name}/{recipe.model.stem}.rknn" for one in targets)]:
        require_file(output / file)
    return targets, last, version


def _run(
    recipe: Recipe,
    targets: list[Target],
    version: str,
    last: LastRelease | None,
    folder: Path,
    progress: Progress,
) -> Report:
    """Every stage of every target, with all files in ``folder``."""
    ready, calib, evaluation = opened(recipe)
    ranges = ranges_seen(ready, calib)
    quantization = "normal" if recipe.in_int8 else "float16"
    how = evaluation.npu_preprocess
    notices = {
        target.name: audited(
            ready,
            target,
            recipe,
            progress.of(target.name) if len(targets) > 1 else progress,
            quantization=quantization,
            how=how,
            ranges=ranges,
        )
        for target in targets
    }
    stages = Stages(progress)
    base = measure_baseline(ready, calib, evaluation, recipe, stages)
    notices = {name: (*base.notices, *found) for name, found in notices.items()}
    with scratch_folder() as work:
        chains = _Chains(base, notices, stages, folder, work)
        outcomes = each_target(targets, recipe, chains.run, progress)
        report = Report(
            tool=ToolVersion("rockpress", __version__),
            toolkit=ToolVersion("rknn-toolkit2", version),
            recipe=recipe_document(recipe),
            targets=tuple(map(chains.report, targets, outcomes)),
        )
    return with_changes(report, recipe, last)


def rendered(report: Report) -> Report:
    """Return the report with the options in its warnings said in the reader's words."""
    targets = [
        replace(target, warnings=tuple(warning.rendered() for warning in target.warnings))
        for target in report.targets
    ]
    return replace(report, targets=tuple(targets))


def _known_before(report: Report) -> Report:
    """The report of a run that was not run again."""
    targets = [
        replace(target, stages=tuple(_cached(stage) for stage in target.stages))
        for target in report.targets
    ]
    return replace(report, targets=tuple(targets))


def _cached(stage: StageRun) -> StageRun:
    return StageRun(stage.name, "cached", 0.0) if stage.status == "done" else stage


class _Chains:
    """The chain of each target, from the same baseline; of one that fails no file is kept."""

    def __init__(
        self,
        base: Baseline,
        notices: Mapping[str, tuple[Diagnostic, ...]],
        stages: Stages,
        folder: Path,
        work: Path,
    ) -> None:
        self._base = base
        self._notices = notices
        self._shared = stages
        self._folder = folder
        self._work = work
        self._stages: dict[str, Stages] = {}

    def run(self, target: Target, recipe: Recipe, progress: Progress) -> TargetReport:
        """One target; it may be run again after it failed."""
        folder, work = self._folder / target.name, self._work / target.name
        stages = self._stages[target.name] = self._shared.of_target(progress)
        _remove(folder)
        try:
            notices = self._notices[target.name]
            return Chain(self._base, recipe, target, notices, folder, work, stages).run()
        except RockpressError:
            _remove(folder)
            raise
        finally:
            _remove(work)

    def report(self, target: Target, outcome: TargetReport | RockpressError) -> TargetReport:
        """The report of a target, also of one that failed."""
        if isinstance(outcome, TargetReport):
            return outcome
        return TargetReport(
            target=target.name,
            models=(),
            retention=NOTHING_COMPARED,
            ratios=Ratios(),
            pruning=None,
            warnings=self._notices[target.name],
            stages=self._stages[target.name].runs,
            error=outcome,
        )


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)


def opened(recipe: Recipe) -> tuple[ReadyModel, Samples | None, Samples]:
    """The model made ready, and ``open_both``.

    Raises what they raise, and what pruning would only find when it begins.
    """
    ready = ready_model(recipe.model, recipe.input_shapes, recipe.size, recipe.outputs)
    require_layers(recipe, ready.model)
    calib, evaluation = open_both(ready, recipe)
    if prunes(recipe):
        assert calib is not None  # require_samples has seen to it
        parted(calib, recipe)
    return ready, calib, evaluation


def open_both(ready: ReadyModel, recipe: Recipe) -> tuple[Samples | None, Samples]:
    """Calibration samples (None when not needed) and those that everything is compared on.

    Without labelled samples the calibration samples serve for the comparison too. Raises
    SamplesError, and OptionError when one set holds images and the other tensors, or when images
    are needed.
    """
    calib, evaluation = _opened(ready, recipe)
    require_images(recipe, evaluation)
    return calib, evaluation


def _opened(ready: ReadyModel, recipe: Recipe) -> tuple[Samples | None, Samples]:
    how, seed = recipe.preprocessing, recipe.seed
    calib = None
    if recipe.calib is not None:
        calib = ready.samples(recipe.calib, how, recipe.calib_count, seed)
    if recipe.eval is None:
        assert calib is not None  # require_samples has seen to it
        scoring_of(recipe, ready.model, calib)
        return calib, calib
    evaluation = ready.samples(recipe.eval, how, recipe.eval_count, seed)
    require_labels(recipe, scoring_of(recipe, ready.model, evaluation), evaluation)
    if calib is not None and calib.is_pixels != evaluation.is_pixels:
        raise OptionError(
            f"one of {option('calib')} and {option('eval')} holds images and the other tensors",
            "give both in the same form: the .rknn is built for one of them",
        )
    return calib, evaluation
