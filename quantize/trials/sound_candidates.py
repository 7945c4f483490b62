"""What no method may give: weights or outputs that are NaN or infinite."""

from __future__ import annotations

from collections.abc import Mapping

from onnx import ModelProto

from ...core.diagnostics import Diagnostic, option
from ...core.errors import NotFiniteError
from ...core.graphs.model_checks import weights_not_finite


def require_finite_weights(quantized: ModelProto, method: str) -> None:
    """Raise NotFiniteError for weights that a method has made NaN or infinite."""
    for name, bad, size in weights_not_finite(quantized):
        raise not_finite(method, f"weights: {bad} of {size} values of {name!r}")


def not_finite(method: str, what: str) -> NotFiniteError:
    """Return the error of a method that makes ``what`` NaN or infinite."""
    return NotFiniteError(
        f"of these calibration samples {method} makes NaN or infinite {what}",
        f"leave out samples that are far larger than the others, check {option('mean')} and "
        f"{option('std')}, or choose another {option('method')}",
    )


def broken_notices(broken: Mapping[str, NotFiniteError]) -> tuple[Diagnostic, ...]:
    """Return a warning that names the methods that auto left out."""
    if not broken:
        return ()
    first = next(iter(broken.values())).diagnostic
    text = f"left out of the comparison: {', '.join(broken)}; {first.text}"
    return (Diagnostic("calibration-not-finite", text, first.hint),)
