"""Warnings on a model for a target, given before minutes are spent on it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ...calibration_data.preprocess import Preprocess
from ...calibration_data.samples import Samples
from ...convert.audit.float16_audit import observe
from ...convert.audit.model_audit import audit
from ...convert.audit.refusals import require_buildable
from ...convert.chips.targets import Target
from ...convert.toolkit.environment import toolkit_version
from ...core.diagnostics import Diagnostic, in_order
from ...core.graphs.determinism import require_deterministic
from ...core.graphs.quantized_operators import require_float_operators
from ...core.progress import Progress
from ...core.types import Range
from .ready_model import ReadyModel

_SAMPLES = 2  # one could be a black image


def sample_ranges(ready: ReadyModel, calib: Samples | None) -> Mapping[str, Range] | None:
    """Return the lowest and highest value of every tensor on two samples; None without samples."""
    return None if calib is None else observe(ready.model, calib, _SAMPLES)


def audit_target(
    ready: ReadyModel,
    target: Target,
    progress: Progress,
    *,
    toolkit_python: Path | None,
    quantization: str,
    preprocess: Preprocess | None,
    ranges: Mapping[str, Range] | None,
    keeps_parts_apart: bool = False,
) -> tuple[Diagnostic, ...]:
    """Return the warnings of convert/audit/, given to the progress as well.

    ``preprocess`` is what the ``.rknn`` applies inside, None when it takes prepared tensors. With
    ``keeps_parts_apart`` joined outputs are looked at elsewhere. Raises ModelError for a node that
    cannot be converted at all.
    """
    require_deterministic(ready.original, ready.model)
    require_float_operators(ready.model)
    require_buildable(ready.model)
    names = list(ready.inputs)
    audited = audit(
        ready.model,
        target,
        quantization=quantization,
        means=dict.fromkeys(names, preprocess.mean) if preprocess else None,
        stds=dict.fromkeys(names, preprocess.std) if preprocess else None,
        ranges=ranges,
        toolkit=toolkit_version(toolkit_python),
        keeps_parts_apart=keeps_parts_apart,
    )
    diagnostics = in_order((*ready.warnings, *audited))
    for diagnostic in diagnostics:
        progress.warn(diagnostic)
    return diagnostics
