"""Compare any candidate with its baseline on the same samples, where the candidate will run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ..accuracy.compare import Comparison
from ..calibration_data.samples import Samples
from ..convert.chips.targets import find_target
from ..convert.toolkit.environment import toolkit_version
from ..core.diagnostics import option
from ..core.errors import OptionError
from ..core.graphs.model import require_model_file
from ..core.progress import SILENT, Progress
from ..core.results.model_figures import ModelRow, Ratios
from ..core.results.report import Report, TargetReport, ToolVersion
from ..core.results.sample_rows import RobustnessRow
from ..core.version import rockpress_version
from ..report.documents.report_reader import metric_details
from .board_layers import compare_layers, require_layers
from .candidate_feeds import (
    require_same_calibration,
    require_same_feed,
    require_same_inputs,
)
from .figures.attacks import AttackResult, ComparedModels, attacks_of
from .figures.build_figures import layer_rows, ratios_of
from .figures.figures_of import (
    accuracy_figure,
    changed_samples,
    gate_figures,
    retention_figure,
)
from .figures.last_release import open_last_release, require_comparable, with_changes
from .figures.result_warnings import result_warnings
from .figures.robustness import robustness_of, robustness_warnings
from .filled_recipe import fill_recipe
from .inputs import open_both
from .measured_candidate import MeasuredCandidate, as_built, run_onnx, simulate
from .measured_scales import MeasuredModels, measured_models
from .readable_report import rendered
from .rebuilding import Rebuildable, open_rebuildable
from .recipes.recipe import Recipe, recipe_document
from .requirements import require_latency, require_measurable
from .samples.input_sets import require_one_shape
from .samples.ready_model import ReadyModel, ready_candidate, ready_model
from .stages.baseline import Baseline, measure_baseline
from .stages.board_result import BoardResult
from .stages.stage_log import StageLog
from .tasks.board_run import BoardFile, board_file, require_loadable, require_rknn, run_on_board


def check(recipe: Recipe, candidate: Path, progress: Progress = SILENT) -> Report:
    """Compare ``candidate`` (ONNX, QDQ ONNX or ``.rknn``) with ``recipe.model``.

    A ``.rknn`` is built again from the files that its manifest names, since the file alone cannot
    be simulated. With ``recipe.board`` it runs there too, and what that gives is what is judged;
    then it does without the toolkit. Raises RockpressError, naming a file that is missing or has
    changed.
    """
    require_one_shape(recipe.shape, "check")
    require_rknn(recipe.board.board, [candidate])
    require_model_file(recipe.model)
    filled = fill_recipe(recipe, "check", progress)
    recipe = filled.recipe
    require_measurable(recipe)
    last = open_last_release(recipe)
    ready = ready_model(recipe.model, recipe.shape)
    calib, evaluation = open_both(ready, recipe)
    opened = _open_candidate(candidate, calib, evaluation, recipe)
    target = opened.manifest.target if isinstance(opened, Rebuildable) else None
    timed = _measured_models(recipe, target, progress)
    require_comparable(last, recipe, [target])
    _require_runnable(recipe, opened)
    require_layers(recipe, opened)
    file = _runnable(candidate, opened, recipe)
    log = StageLog(progress)
    base = measure_baseline(ready, calib, evaluation, recipe, log)
    on_board = None
    if file is not None:
        with log.stage("board"):
            on_board = run_on_board(recipe, file, evaluation, progress)
    with log.stage("candidate"):
        if isinstance(opened, ReadyModel):
            measured = run_onnx(opened, evaluation, progress)
        elif _is_alone(recipe):
            measured = as_built(candidate, opened, timed)
        else:
            measured = simulate(candidate, opened, calib, evaluation, recipe, timed, progress)
    robustness: tuple[RobustnessRow, ...] = ()
    attacks = AttackResult()
    if recipe.check.robustness:
        optimise, seed = not measured.quantized, recipe.run.seed
        models = ComparedModels(ready.model, measured.computed, base.scoring, optimise)
        with log.stage("robustness"):
            robustness = robustness_of(models, evaluation, seed, progress)
            attacks = attacks_of(models, evaluation, recipe.check, seed, progress)
    board = measured.beside(on_board, base) if on_board else None
    if recipe.board.layers and board is not None and file is not None:
        assert isinstance(opened, Rebuildable)
        with log.stage("layers"):
            differs = board.figure.differs
            layers = compare_layers(recipe, opened, file, evaluation, progress, differs=differs)
        board = board.with_layers(layers)
    comparison, row = _compared(base, measured, board)
    report = TargetReport(
        target=target,
        models=(base.row, row),
        retention=retention_figure(comparison),
        examples=changed_samples(comparison, evaluation),
        details=metric_details(comparison.details),
        ratios=_ratios(row, base.row) if target is None else ratios_of(row, None),
        pruning=None,
        robustness=robustness,
        attacks=attacks.rows,
        parts=comparison.parts,
        layers=layer_rows(measured.built) if measured.built else (),
        graph=measured.graph(),
        gates=gate_figures(recipe.gates, comparison, row, is_at_chance=base.is_at_chance),
        warnings=(
            *base.warnings,
            *(board.warnings if board else ()),
            *robustness_warnings(robustness),
            *attacks.warnings,
            *result_warnings(
                measured.built,
                comparison,
                recipe.gates,
                own=measured.warnings,
                eval_count=recipe.samples.eval_count,
                board_differs=board is not None and board.figure.differs,
            ),
        ),
        stages=log.runs,
        board=board.figure if board else None,
    )
    toolkit = ToolVersion("rknn-toolkit2", toolkit_version(recipe.toolkit.toolkit_python))
    tool = ToolVersion("rockpress", rockpress_version())
    whole = Report(tool, toolkit, recipe_document(recipe), (report,), family=filled.family)
    return rendered(with_changes(whole, recipe, last), "check")


def _open_candidate(
    candidate: Path, calib: Samples | None, evaluation: Samples, recipe: Recipe
) -> ReadyModel | Rebuildable:
    """Find out before anything runs whether the candidate can be compared."""
    if candidate.suffix.lower() != ".rknn":
        ready = ready_candidate(candidate, recipe.shape)
        require_same_inputs(candidate, tuple(ready.inputs), evaluation)
        return ready
    opened = open_rebuildable(candidate, recipe.toolkit, needs_toolkit=not _is_alone(recipe))
    manifest = opened.manifest
    require_same_inputs(candidate, tuple(feed.name for feed in manifest.inputs), evaluation)
    require_same_feed(manifest, evaluation, candidate)
    if not opened.is_own and not _is_alone(recipe):
        require_same_calibration(manifest, calib, candidate)
    return opened


def _is_alone(recipe: Recipe) -> bool:
    """Return whether there is a board, and no toolkit to simulate with."""
    python = recipe.toolkit.toolkit_python
    return recipe.board.board is not None and python is None and toolkit_version() is None


def _runnable(
    candidate: Path, opened: ReadyModel | Rebuildable, recipe: Recipe
) -> BoardFile | None:
    """Return what is to be run on a board, which is there; None without one."""
    if recipe.board.board is None or isinstance(opened, ReadyModel):
        return None
    file = board_file(candidate, opened.manifest)
    require_loadable(recipe, file)
    return file


def _compared(
    base: Baseline, measured: MeasuredCandidate, board: BoardResult | None
) -> tuple[Comparison, ModelRow]:
    """Return the comparison that counts, and the row of the candidate with its accuracy."""
    if board is not None:
        return board.comparison, board.row(measured.row)
    comparison = base.compared(measured.outputs or [])
    runner = "onnxruntime" if measured.built is None else "rknn-simulator"
    return comparison, replace(measured.row, accuracy=accuracy_figure(comparison, runner))


def _measured_models(recipe: Recipe, target: str | None, progress: Progress) -> MeasuredModels:
    """Return what models took on the chip. Raises RockpressError.

    OptionError among them where there is no estimate to scale, or none to hold against a limit.
    """
    measured = recipe.latency.measured
    if target is None:
        if measured:
            raise OptionError(
                f"{option('measured', measured[0])} scales the estimate of a .rknn, and the "
                "candidate is an ONNX model",
                "give the .rknn, or leave it out",
            )
        return MeasuredModels({}, {})
    chip = find_target(target)
    timed = measured_models(recipe, [chip], progress)
    if recipe.board.board is None:
        require_latency(chip, recipe.gates.max_latency_ms, timed.scales.get(target))
    return timed


def _require_runnable(recipe: Recipe, opened: ReadyModel | Rebuildable) -> None:
    """Raise OptionError where ONNX Runtime, which robustness is measured in, cannot run it."""
    if not recipe.check.robustness or isinstance(opened, ReadyModel):
        return
    if not opened.is_own:
        raise OptionError(
            f"{option('robustness')}: the .rknn was quantized by the toolkit "
            f"({opened.manifest.quantization})"
            ", so there is no ONNX model of it to run on worse images",
            f"leave {option('robustness')} out, or quantize the model with rockpress",
        )


def _ratios(row: ModelRow, base: ModelRow) -> Ratios:
    """Return the ratios to the baseline on this host, without latency where it is unoptimised."""
    ratios = ratios_of(row, base)
    return replace(ratios, latency=None) if row.stage == "quantized" else ratios
