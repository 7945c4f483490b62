"""What is left of the baseline where images are worse: beside the accuracy on clean ones.

Both models run in ONNX Runtime, the candidate in the form that the ``.rknn`` is to compute (the
quantized ONNX model): nine passes through the simulator would take longer than all the rest.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from onnx import ModelProto

from ...accuracy.compare import compare
from ...accuracy.metrics.metric_table import BoundMetric
from ...accuracy.preprocess.corruptions import LEVELS, Corruption, corrupted
from ...accuracy.runners import run_onnxruntime
from ...calibration_data.samples import Samples
from ...core.diagnostics import option
from ...core.errors import OptionError
from ...core.graphs.output_parts import parts_of
from ...core.progress import Progress
from ...core.results.sample_rows import RobustnessRow
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
) -> tuple[RobustnessRow, ...]:
    """Return one row for clean samples and one for each corruption.

    ``optimise`` is False for a quantized candidate.
    """
    samples, parts = evaluation.take(MOST, seed), parts_of(original)

    def row(corruption: Corruption | None, samples: Samples) -> RobustnessRow:
        name = f"{corruption.kind} {corruption.level:g}" if corruption else "clean"
        run = partial(run_onnxruntime, progress=progress, activity=name)
        before, after = run(original, samples), run(candidate, samples, optimise=optimise)
        comparison = compare(before, after, samples.labels, scoring, seed, parts)
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

    worse = (row(corruption, corrupted(samples, corruption, seed)) for corruption in LEVELS)
    return (row(None, samples), *worse)
