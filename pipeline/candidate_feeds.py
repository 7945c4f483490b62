"""Whether a candidate can be compared on the samples at all: fed and calibrated as it was built."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..calibration_data.samples import Samples
from ..convert.manifest import Manifest
from ..core.diagnostics import option
from ..core.errors import OptionError, SamplesError
from .tasks.manifest_files import feed_inputs

_DIFFERENT_VALUES = (
    f"give {option('color')}, {option('mean')} and {option('std')} as they were when it was built"
)
_DIFFERENT_FORM = (
    f"images need a .rknn that takes uint8: give {option('mean')} and "
    f"{option('std')} (or {option('calib')}) when converting"
)


def require_same_feed(manifest: Manifest, evaluation: Samples, candidate: Path) -> None:
    """Raise OptionError when the samples are fed otherwise than the file was built for."""
    feeds = feed_inputs(evaluation.inputs, evaluation.npu_preprocess)
    for built, present in zip(manifest.inputs, feeds, strict=True):
        for name in ("dtype", "layout", "shape", "color", "mean", "std"):
            before, now = getattr(built, name), getattr(present, name)
            if before != now:
                raise OptionError(
                    f"{candidate} was built for {name} {_shown(before)}, but the samples give "
                    f"{_shown(now)}",
                    _DIFFERENT_FORM if name == "dtype" else _DIFFERENT_VALUES,
                )


def _shown(value: object) -> str:
    return ",".join(f"{part:g}" for part in value) if isinstance(value, tuple) else str(value)


def require_same_inputs(candidate: Path, names: Sequence[str], evaluation: Samples) -> None:
    """Raise OptionError when the candidate has other inputs than the baseline."""
    if list(names) != list(evaluation.inputs):
        raise OptionError(
            f"{candidate} has the inputs {', '.join(names)}, "
            f"the baseline {', '.join(evaluation.inputs)}",
            "compare two forms of one model",
        )


def require_same_calibration(manifest: Manifest, calib: Samples | None, candidate: Path) -> None:
    """Raise SamplesError without the samples that the toolkit's own quantizer had."""
    if calib is None or calib.digest() != manifest.digests.get("calibration"):
        raise SamplesError(
            f"{candidate} was quantized by the toolkit ({manifest.quantization}); building it "
            "again needs the same calibration samples",
            f"give the same {option('calib')}, {option('calib-count')}, {option('seed')} and "
            "preprocess options as then",
        )
