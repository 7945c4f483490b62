"""How close a model that a single command has made stays to its baseline: a look, not a check."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from onnx import ModelProto

from ...accuracy.compare import Comparison, compare
from ...accuracy.runners import run_onnxruntime
from ...calibration_data.samples import Samples
from ...core.diagnostics import option
from ...core.errors import NotFiniteError
from ...core.graphs.output_parts import parts_of
from ...core.types import Array, Feeds

_SAMPLES = 64


def first_look(baseline: ModelProto, candidate: Path, calib: Samples, seed: int) -> Comparison:
    """Compare both in ONNX Runtime on up to 64 of the calibration samples, without labels.

    Raises SamplesError or ModelError, NotFiniteError where the candidate's outputs are NaN or
    infinite and the baseline's are not: nothing is to be kept of that.
    """
    samples = calib.take(_SAMPLES, seed)
    before = run_onnxruntime(baseline, samples)
    after = run_onnxruntime(candidate, samples, keeps_scales=True)
    comparison = compare(before, after, None, parts=parts_of(baseline))
    require_finite(comparison)
    return comparison


def look_at(
    baseline: ModelProto, candidate: Path, feeds: Sequence[Feeds], batch: int
) -> Comparison:
    """Compare both in ONNX Runtime on all ``feeds``, without labels; each holds ``batch`` samples.

    Raises SamplesError or ModelError.
    """

    def outputs(model: ModelProto | Path) -> list[Array]:
        rows = run_onnxruntime(model, feeds)
        return [
            row.reshape(-1, *row.shape[2:]) if batch > 1 and row.shape[1:2] == (batch,) else row
            for row in rows
        ]

    return compare(outputs(baseline), outputs(candidate), None, parts=parts_of(baseline))


def require_finite(comparison: Comparison) -> None:
    """Raise NotFiniteError where a part of the candidate's outputs is not finite."""
    for part in comparison.parts:
        if not part.finite:
            raise NotFiniteError(
                f"what was made of these calibration samples gives NaN or infinite values in "
                f"{part.part!r}",
                "leave out samples that are far larger than the others, or check "
                f"{option('mean')} and {option('std')}",
            )
