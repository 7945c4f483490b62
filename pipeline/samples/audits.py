"""What is wrong with a model for a target, told before minutes are spent on it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ...calibration_data.preprocess import Preprocess
from ...calibration_data.samples import Samples
from ...convert.audit.float16_audit import observe
from ...convert.audit.model_audit import audit
from ...convert.chips.targets import Target
from ...convert.toolkit.environment import toolkit_version
from ...core.diagnostics import Diagnostic
from ...core.progress import Progress
from ...core.types import Range
from .ready_model import ReadyModel

_SAMPLES = 2  # one could be a black image


def ranges_seen(ready: ReadyModel, calib: Samples | None) -> Mapping[str, Range] | None:
    """The smallest and largest value of every tensor on a few samples; None without samples."""
    return None if calib is None else observe(ready.model, calib, _SAMPLES)


def audited(
    ready: ReadyModel,
    target: Target,
    progress: Progress,
    *,
    toolkit_python: Path | None,
    quantization: str,
    how: Preprocess | None,
    ranges: Mapping[str, Range] | None,
) -> tuple[Diagnostic, ...]:
    """The warnings of convert.audit, told to the progress as well.

    ``how`` is what the ``.rknn`` applies inside, None when it takes prepared tensors.
    """
    names = list(ready.inputs)
    found = audit(
        ready.model,
        target,
        quantization=quantization,
        means=dict.fromkeys(names, how.mean) if how else None,
        stds=dict.fromkeys(names, how.std) if how else None,
        ranges=ranges,
        toolkit=toolkit_version(toolkit_python),
    )
    for one in found:
        progress.warn(one)
    return found
