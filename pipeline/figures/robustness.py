"""What is left of the baseline where images are worse: beside the accuracy on clean ones.

Both models run in ONNX Runtime, the candidate in the form that the ``.rknn`` is to compute (the
quantized ONNX model): nine passes through the simulator would take longer than all the rest.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import partial

from ...accuracy.compare import Comparison, compare
from ...accuracy.preprocess.corruptions import LEVELS, Corruption, corrupted
from ...accuracy.runners import run_onnxruntime
from ...calibration_data.samples import Samples
from ...core.diagnostics import Diagnostic, option
from ...core.errors import ModelError, OptionError
from ...core.graphs.output_parts import parts_of
from ...core.percents import percent_range, percent_text
from ...core.progress import Progress
from ...core.results.sample_rows import RobustnessRow
from ...report.text.chain_text import corruption_name
from ..options.check_options import CheckOptions
from .attacks import ComparedModels

MOST = 500  # samples; seeded, stratified


def require_images(options: CheckOptions, evaluation: Samples) -> None:
    """Raise OptionError when robustness was asked for and the samples are no images."""
    if options.robustness and not evaluation.is_pixels:
        raise OptionError(
            f"{option('robustness')} changes images, and these samples are tensors",
            f"give images, or leave {option('robustness')} out",
        )


def robustness_of(
    models: ComparedModels, evaluation: Samples, seed: int, progress: Progress
) -> tuple[RobustnessRow, ...]:
    """Return one row for clean samples and one for each corruption."""
    original, candidate, optimise = models.original, models.candidate, models.optimise
    samples, parts = evaluation.take(MOST, seed), parts_of(original)

    def row(corruption: Corruption | None, samples: Samples) -> RobustnessRow:
        name = f"{corruption.kind} {corruption.level:g}" if corruption else "clean"
        run = partial(run_onnxruntime, progress=progress, activity=name)
        before, after = run(original, samples), run(candidate, samples, optimise=optimise)
        try:
            comparison = compare(before, after, samples.labels, models.scoring, seed, parts)
        except ModelError:
            if corruption is None:
                raise
            # the original gives NaN on these: nothing is known of them, and the rest is not lost
            comparison = Comparison(None, None, None, None, None, -math.inf, len(samples))
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


def robustness_warnings(rows: Sequence[RobustnessRow]) -> Iterator[Diagnostic]:
    """Yield the worst kind of images that less is kept on than on clean ones, and unknown kinds.

    Less is kept where the whole interval of a retention is below that of clean images.
    """
    if not rows:
        return
    clean, worse = rows[0], rows[1:]
    lost = [row for row in worse if _is_below(row, clean)]
    if lost:
        yield _lost(sorted(lost, key=lambda row: row.retention or 0.0), clean)
    unknown = [row for row in worse if _has_nothing(row) and not _has_nothing(clean)]
    if unknown:
        yield Diagnostic(
            "robustness-lost",
            f"nothing is known on {_names(unknown)}: a model gives what is not finite there",
            "look at both models on such images; float16 overflows above 65504",
            subject="not finite",
        )


def _lost(rows: Sequence[RobustnessRow], clean: RobustnessRow) -> Diagnostic:
    worst, *others = rows
    too = f" ({_names(others)} too)" if others else ""
    return Diagnostic(
        "robustness-lost",
        f"on worse images less is kept of {worst.metric}: {_kept(worst)} on "
        f"{corruption_name(worst)}"
        f", {_kept(clean)} on clean ones{too}",
        f"calibrate with such images too ({option('calib')}), or compress less; "
        f"{option('scheme', 'float16')} shows whether int8 is the cause",
    )


def _is_below(row: RobustnessRow, clean: RobustnessRow) -> bool:
    return row.high is not None and clean.low is not None and row.high < clean.low


def _has_nothing(row: RobustnessRow) -> bool:
    return row.metric is None and row.agreement is None


def _kept(row: RobustnessRow) -> str:
    assert row.retention is not None and row.low is not None and row.high is not None
    return f"{percent_text(row.retention)} ({percent_range(row.low, row.high)})"


def _names(rows: Sequence[RobustnessRow]) -> str:
    return ", ".join(map(corruption_name, rows))
