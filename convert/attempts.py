"""What is tried, in which order, when the compiler cannot stand a quantized model.

1. The QDQ model at optimization level 2, which keeps its numbers (28.5 dB against the intended
   model on EfficientNet-Lite0; level 3 has 26.7).
2. At level 3, when the compiler printed REGTASK lines: a value did not fit its register, so the
   board would compute something else than the simulator. The known cause is a global pooling wider
   or higher than 16 (8 on rk3576), which only level 3 splits.
3. The float model, quantized by the toolkit itself, after a crash or REGTASK lines at level 3.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from ..core.errors import OptionError
from ..core.model import load_model
from .build import ConversionWarning, Request, build
from .failures import ToolkitCrashed
from .samples import inputs_of
from .toolkit import Built

EXACT_LEVEL = 2
_SPLITTING_LEVEL = 3
_REGTASK = re.compile(r"REGTASK: (.*)")

Attempt = tuple[Built, str, tuple[ConversionWarning, ...]]


def build_or_fall_back(request: Request, float_model: Path | None) -> Attempt:
    """The build, how it was quantized in the end, and warnings for what was tried in vain.

    Raises ToolkitError when the last attempt failed, OptionError when ``float_model`` does not fit.
    """
    can_fall_back = float_model is not None and request.calibrated > 0
    try:
        built, warnings = build(request)
        trouble = _register_trouble(built)
        if trouble and request.quantization == "qdq":
            built, warnings = build(replace(request, level=_SPLITTING_LEVEL))
            if not _register_trouble(built):
                return built, "qdq", (*warnings, _level_warning(trouble))
    except ToolkitCrashed as error:
        if request.quantization != "qdq" or not can_fall_back:
            raise
        return _fall_back(request, float_model, "toolkit-crash", error.message)
    if not trouble:
        return built, request.quantization, warnings
    if request.quantization == "qdq" and can_fall_back:
        return _fall_back(request, float_model, "toolkit-regtask", trouble)
    return built, request.quantization, (*warnings, _register_warning(trouble))


def _fall_back(request: Request, float_model: Path | None, code: str, why: str) -> Attempt:
    assert float_model is not None
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
        code,
        f"{why}; the toolkit quantized the model itself instead (normal)",
        "its accuracy differs from the quantized model's: rely on the simulated figures",
    )
    trouble = _register_trouble(built)
    more = (_register_warning(trouble),) if trouble else ()
    return built, "normal", (told, *warnings, *more)


def _register_trouble(built: Built) -> str:
    """What the REGTASK lines of the log say, in one phrase; empty when there are none."""
    found = _REGTASK.findall(built.log)
    said = found[0].strip() if found else ""
    return f"the compiler printed {len(found)} REGTASK errors ({said})" if found else ""


def _level_warning(trouble: str) -> ConversionWarning:
    return ConversionWarning(
        "toolkit-regtask",
        f"{trouble}; the model was built at optimization level 3 instead, without them",
        "results may differ a little more from the quantized model's in ONNX Runtime",
    )


def _register_warning(trouble: str) -> ConversionWarning:
    return ConversionWarning(
        "toolkit-regtask",
        trouble,
        "the board may compute something else than the simulator: compare them there",
    )
