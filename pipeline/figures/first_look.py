"""How close a model that a single command has made stays to its baseline: a look, not a check."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from onnx import ModelProto

from ...accuracy.compare import Comparison, compare
from ...accuracy.gates import standing_gates
from ...accuracy.runners import run_onnxruntime
from ...calibration_data.samples import Samples
from ...core.diagnostics import option
from ...core.errors import NotFiniteError
from ...core.graphs.output_parts import parts_of
from ...core.results.part_figures import PartFigure
from ...core.results.report import Judgement

if TYPE_CHECKING:
    from ...convert.convert import Conversion

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
    for part in comparison.parts:
        if not part.finite:
            raise NotFiniteError(
                f"what was made of these calibration samples gives NaN or infinite values in "
                f"{part.part!r}",
                "leave out samples that are far larger than the others, or check "
                f"{option('mean')} and {option('std')}",
            )
    return comparison


def judged(parts: tuple[PartFigure, ...]) -> Judgement:
    """Return what the gates that are always on say of the parts of the outputs."""
    return Judgement(standing_gates(parts), parts)


def judged_conversion(conversion: Conversion) -> Judgement:
    """Return what they say of a conversion, on the few samples that were simulated."""
    return judged(conversion.closeness.parts)
