"""What is left of the baseline where images are worse: beside the accuracy on clean ones.

Both models run in ONNX Runtime, the candidate in the form that the ``.rknn`` is to compute (the
quantized ONNX model): nine passes through the simulator would take longer than all the rest.
"""

from __future__ import annotations

from pathlib import Path

from onnx import ModelProto

from ...accuracy.compare import compare
from ...accuracy.preprocess.corruptions import LEVELS, Corruption, corrupted
from ...accuracy.runners import run_onnxruntime
from ...calibration_data.samples import Samples
from ...core.diagnostics import option
from ...core.errors import OptionError
from ...core.results.sample_rows import RobustnessRow
from ..recipes.recipe import Recipe
from ..stages.baseline import Baseline
from ..stages.stage_log import Stages, Step

MOST = 500  # samples; seeded, stratified


def require_images(recipe: Recipe, evaluation: Samples) -> None:
    """Raise OptionError when robustness was asked for and the samples are no images."""
    if recipe.robustness and not evaluation.is_pixels:
        raise OptionError(
            f"{option('robustness')} changes images, and these samples are tensors",
            f"give images, or leave {option('robustness')} out",
        )


def robustness_of(
    base: Baseline,
    candidate: Path | ModelProto,
    recipe: Recipe,
    stages: Stages,
    *,
    optimise: bool,
) -> tuple[RobustnessRow, ...]:
    """Return one row for clean samples and each corruption; () when not asked for.

    ``optimise`` is False for a quantized candidate.
    """
    if not recipe.robustness:
        return ()
    samples = base.evaluation.take(MOST, recipe.seed)
    with stages.stage("robustness") as step:
        rows = [_row(None, samples, base, candidate, recipe, step, optimise)]
        for corruption in LEVELS:
            worse = corrupted(samples, corruption, recipe.seed)
            rows.append(_row(corruption, worse, base, candidate, recipe, step, optimise))
    return tuple(rows)


def _row(
    corruption: Corruption | None,
    samples: Samples,
    base: Baseline,
    candidate: Path | ModelProto,
    recipe: Recipe,
    step: Step,
    optimise: bool,
) -> RobustnessRow:
    activity = f"{corruption.kind} {corruption.level:g}" if corruption else "clean"

    def count(done: int) -> None:
        step(activity, done, len(samples))

    before = run_onnxruntime(base.ready.model, samples, on_progress=count)
    after = run_onnxruntime(candidate, samples, optimise=optimise, on_progress=count)
    comparison = compare(before, after, samples.labels, base.scoring, recipe.seed)
    retention = comparison.retention
    return RobustnessRow(
        corruption=corruption.kind if corruption else "none",
        level=corruption.level if corruption else None,
        metric=comparison.metric,
        baseline=comparison.baseline_value,
        candidate=comparison.candidate_value,
        retention=retention.value if retention else None,
        low=retention.low if retention else None,
        high=retention.high if retention else None,
        agreement=comparison.agreement,
        sqnr_db=comparison.sqnr_db,
        samples=comparison.samples,
    )
