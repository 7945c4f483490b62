"""What is left of the baseline where images are worse: beside the accuracy on clean ones.

Both models run in ONNX Runtime, the candidate in the form that the ``.rknn`` is to compute (the
quantized ONNX model): nine passes through the simulator would take longer than all the rest.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from onnx import ModelProto

from ...accuracy.compare import Comparison, compare
from ...accuracy.preprocess.corruptions import LEVELS, Corruption, corrupted
from ...accuracy.runners import run_onnxruntime
from ...calibration_data.samples import Samples
from ...core.diagnostics import option
from ...core.errors import OptionError
from ...core.progress import Progress
from ..recipes.recipe import Recipe
from ..stages.baseline import Baseline
from ..stages.stage_log import Stages

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
) -> tuple[dict[str, Any], ...]:
    """One row for clean samples and each corruption, as plain values; () when not asked for.

    ``optimise`` is False for a quantized candidate.
    """
    if not recipe.robustness:
        return ()
    samples = base.evaluation.take(MOST, recipe.seed)
    with stages.stage("robustness"):
        rows = [_row(None, samples, base, candidate, recipe, stages.progress, optimise)]
        for how in LEVELS:
            worse = corrupted(samples, how, recipe.seed)
            rows.append(_row(how, worse, base, candidate, recipe, stages.progress, optimise))
    return tuple(rows)


def _row(
    how: Corruption | None,
    samples: Samples,
    base: Baseline,
    candidate: Path | ModelProto,
    recipe: Recipe,
    progress: Progress,
    optimise: bool,
) -> dict[str, Any]:
    run = partial(
        run_onnxruntime,
        progress=progress,
        activity=f"{how.kind} {how.level:g}" if how else "clean",
    )
    before = run(base.ready.model, samples)
    after = run(candidate, samples, optimise=optimise)
    found = compare(before, after, samples.labels, base.scoring, recipe.seed)
    return {"corruption": how.kind if how else "none", "level": how and how.level, **_plain(found)}


def _plain(found: Comparison) -> dict[str, Any]:
    kept = found.retention
    return {
        "metric": found.metric,
        "baseline": found.baseline_value,
        "candidate": found.candidate_value,
        "retention": kept.value if kept else None,
        "low": kept.low if kept else None,
        "high": kept.high if kept else None,
        "agreement": found.agreement,
        "sqnr_db": found.sqnr_db,
        "samples": found.samples,
    }
