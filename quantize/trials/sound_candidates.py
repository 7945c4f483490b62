"""What no method may give, weights or outputs that are NaN or infinite, and those left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from onnx import ModelProto

from ...core.diagnostics import Diagnostic, option
from ...core.errors import NotFiniteError, TemporarySpaceError
from ...core.graphs.model_checks import weights_not_finite

Fault = NotFiniteError | TemporarySpaceError  # why auto leaves a method out
_Error = TypeVar("_Error", bound=BaseException)


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


def without_frames(error: _Error) -> _Error:
    """Return an error that is kept, without the temporary files and tensors that its frames hold.

    Their space is free only once nothing refers to them.
    """
    cause: BaseException | None = error
    while cause is not None:
        cause.__traceback__ = None
        cause = cause.__cause__
    return error


def broken_notices(broken: Mapping[str, Fault]) -> tuple[Diagnostic, ...]:
    """Return a warning that names the methods that auto left out, one for each reason."""
    notices = []
    for kind, code, what in (
        (NotFiniteError, "calibration-not-finite", "left out of the comparison: {}; "),
        (TemporarySpaceError, "refit-no-space", "layers could not be refitted ({}): "),
    ):
        names = [name for name, error in broken.items() if isinstance(error, kind)]
        if names:
            first = broken[names[0]].diagnostic
            text = what.format(", ".join(names)) + first.text
            notices.append(Diagnostic(code, text, first.hint))
    return tuple(notices)
