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
from ...accuracy.metrics.metric_table import BoundMetric
from ...accuracy.preprocess.corruptions import LEVELS, Corruption, corrupted
from ...accuracy.runners import run_onnxruntime
from ...calibration_data.samples import Samples
from ...core.diagnostics import option
from ...core.errors import OptionError
from ...core.progress import Progress
from ..options.check_options import CheckOptions

MOST = 500  # samples; seeded, stratified


def require_images(options: CheckOptions, evaluation: Samples) -> None:
    """Raise OptionError when robustness was asked for and the samples are no images."""
    if options.robustness and not evaluation.is_pixels:
        raise OptionError(
            f"{option('robustness')} changes images, and these samples are tensors",
            f"give images, or leave {option('robustness')} out",
        )


def robustness_of(
    original: ModelProto,
    candidate: Path | ModelProto,
    evaluation: Samples,
    scoring: BoundMetric,
    seed: int,
    progress: Progress,
    *,
    optimise: bool,
) -> tuple[dict[str, Any], ...]:
    """One row for clean samples and each corruption, as plain values.

    ``optimise`` is False for a quantized candidate.
    """
    samples = evaluation.take(MOST, seed)

    def row(corruption: Corruption | None, samples: Samples) -> dict[str, Any]:
        name = f"{corruption.kind} {corruption.level:g}" if corruption else "clean"
        run = partial(run_onnxruntime, progress=progress, activity=name)
        before, after = run(original, samples), run(candidate, samples, optimise=optimise)
        comparison = compare(before, after, samples.labels, scoring, seed)
        kind, level = (corruption.kind, corruption.level) if corruption else ("none", None)
        return {"corruption": kind, "level": level, **_plain(comparison)}

    rows = [row(None, samples)]
    for corruption in LEVELS:
        worse = corrupted(samples, corruption, seed)
        rows.append(row(corruption, worse))
    return tuple(rows)


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
