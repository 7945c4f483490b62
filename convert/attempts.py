"""What is tried, in which order, when the compiler cannot stand a quantized model.

1. The QDQ model at optimization level 3, which joins a convolution with the Add after it and splits
   global poolings that do not fit a register. It keeps the numbers less strictly than level 2 does:
   on the demo CNN 37 dB against the intended model instead of bit for bit (36.9 instead of 36.8 dB
   against the float model), for an estimated 18 % less time.
2. At level 2, after a crash or after REGTASK lines: a value did not fit its register, so the board
   would compute something else than the simulator.
3. The float model, quantized by the toolkit itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from ..core.errors import OptionError
from ..core.model import load_model
from .build import ConversionWarning, Request, build
from .failures import ToolkitCrashed
from .samples import inputs_of
from .toolkit import Built

FUSING_LEVEL = 3
_EXACT_LEVEL = 2
_REGTASK = re.compile(r"REGTASK: (.*)")

Attempt = tuple[Built, str, tuple[ConversionWarning, ...]]


@dataclass(frozen=True)
class _Trouble:
    """Why an attempt is not good enough; ``built`` is what there is all the same."""

    code: str
    text: str
    built: Built | None = None
    warnings: tuple[ConversionWarning, ...] = ()
    error: ToolkitCrashed | None = None


def build_or_fall_back(request: Request, float_model: Path | None) -> Attempt:
    """The build, how it was quantized in the end, and warnings for what was tried in vain.

    Raises ToolkitError when the last attempt failed, OptionError when ``float_model`` does not fit.
    """
    first = _try(request)
    if not isinstance(first, _Trouble):
        return first
    if request.quantization == "qdq":
        second = _try(replace(request, level=_EXACT_LEVEL))
        if not isinstance(second, _Trouble):
            built, used, warnings = second
            return built, used, (*warnings, _level_warning(first))
        if float_model is not None and request.calibrated > 0:
            return _fall_back(request, float_model, second)
    if first.built is None:
        assert first.error is not None
        raise first.error
    return first.built, request.quantization, (*first.warnings, _register_warning(first.text))


def _try(request: Request) -> Attempt | _Trouble:
    """One build; of a crash only a QDQ model has more to try, so else it is raised."""
    try:
        built, warnings = build(request)
    except ToolkitCrashed as error:
        if request.quantization != "qdq":
            raise
        return _Trouble("toolkit-crash", error.message, error=error)
    if text := _register_trouble(built):
        return _Trouble("toolkit-regtask", text, built, warnings)
    return built, request.quantization, warnings


def _fall_back(request: Request, float_model: Path, trouble: _Trouble) -> Attempt:
    loaded = load_model(float_model)
    wanted = [(one.name, one.shape) for one in request.inputs]
    if [(one.name, one.shape) for one in inputs_of(loaded, None, None)] != wanted:
        raise OptionError(
            f"{float_model} has other inputs than {request.model}",
            "give the float model that the quantized one was made from",
        )
    again = replace(request, model=float_model, loaded=loaded, quantization="normal")
    built, warnings = build(again)
    told = ConversionWarning(
        trouble.code,
        f"{trouble.text}; the toolkit quantized the model itself instead (normal)",
        "its accuracy differs from the quantized model's: rely on the simulated figures",
    )
    text = _register_trouble(built)
    more = (_register_warning(text),) if text else ()
    return built, "normal", (told, *warnings, *more)


def _register_trouble(built: Built) -> str:
    """What the REGTASK lines of the log say, in one phrase; empty when there are none."""
    found = _REGTASK.findall(built.log)
    said = found[0].strip() if found else ""
    return f"the compiler printed {len(found)} REGTASK errors ({said})" if found else ""


def _level_warning(trouble: _Trouble) -> ConversionWarning:
    return ConversionWarning(
        trouble.code,
        f"{trouble.text}; the model was built at optimization level 2 instead, without that",
        "it may be slower than it could be: layers are joined less at that level",
    )


def _register_warning(trouble: str) -> ConversionWarning:
    return ConversionWarning(
        "toolkit-regtask",
        trouble,
        "the board may compute something else than the simulator: compare them there",
    )
