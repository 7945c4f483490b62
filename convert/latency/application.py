"""What one inference takes in an application: the input handed over, the NPU, the outputs fetched.

    ms = factor x (milliseconds of the NPU) + output x (million elements in the outputs)

and, where the model takes its input in float16, what the CPU needs to convert it. The NPU's
milliseconds are those of rknn_run alone with the board at its highest clocks, which is what the
estimate and the published tables give. The coefficients come from programs that others have timed
(benchmarks/latency/application_fit.py, applications.csv); docs/latency.md says how good they are.
The program is one in C that copies an int8 model's picture in as bytes and its outputs out as int8;
on rv1126b one in Python that gets them as float32.
What the picture takes is in the factor, since nearly all have 640x640. Chips for which nobody has
published such times have none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Literal, NamedTuple

from ..chips.compiler_log import Layer
from ..chips.targets import Target

Program = Literal["C", "Python"]


@dataclass(frozen=True)
class ApplicationFit:
    """Coefficients of one chip with the boards and programs that were timed."""

    factor: float  # milliseconds for each of the NPU's
    output: float  # milliseconds for each million elements of the outputs
    program: Program = "C"


class ApplicationTime(NamedTuple):
    """Milliseconds, the interval in which nine of ten models lie, and the language of the program.

    A program in C gets the outputs as they are, one in Python in float32.
    """

    ms: float
    low: float
    high: float
    program: Program = "C"


_RK356X = ApplicationFit(1.06, 2.38)
_FITS = {
    "rk3588": ApplicationFit(1.04, 2.48),
    "rk3576": ApplicationFit(1.29, 1.85),
    "rk3566": _RK356X,
    "rk3568": _RK356X,
    "rv1126b": ApplicationFit(1.0, 21.9, "Python"),
}
# nine of ten programs are off by less when their family or source is left out
BAND = 1.3
# Milliseconds to convert a million elements to float16 on the CPU: the middle and both ends of
# seven programs that ran a model in both formats (pairs.csv).
FLOAT16_INPUT, _LEAST, _MOST = 24.0, 9.0, 30.0


def application_ms(
    npu_ms: float, layers: Sequence[Layer], target: Target
) -> ApplicationTime | None:
    """Return the time in an application of a model that takes the NPU ``npu_ms``.

    ``layers`` is the compiler's table, of which the rows of the outputs are read. None for a chip
    with no times to go by.

    >>> from ..chips.targets import find_target
    >>> row = Layer(1, "OutputOperator", "INT8", "NPU", ((1, 85, 8400),), (), 0, 0, 0, "out")
    >>> time = application_ms(26.9, [row], find_target("rk3588"))  # published for YOLOX-s: 29.4
    >>> time.low < 29.4 < time.high
    True
    >>> application_ms(26.9, [row], find_target("rk3562")) is None
    True
    """
    fit = _FITS.get(target.name)
    if fit is None:
        return None
    ms = fit.factor * npu_ms + fit.output * output_elements(layers) / 1e6
    elements = float16_inputs(layers) / 1e6
    low, high = ms + _LEAST * elements, ms + _MOST * elements
    whole = ms + FLOAT16_INPUT * elements
    return ApplicationTime(whole, low / BAND, high * BAND, fit.program)


def float16_inputs(layers: Sequence[Layer]) -> int:
    """Return how many elements of the inputs the runtime has to convert to float16."""
    inputs = (layer for layer in layers if layer.op == "InputOperator" and layer.dtype == "FLOAT16")
    return sum(prod(shape) for layer in inputs for shape in layer.output_shapes)


def output_elements(layers: Sequence[Layer]) -> int:
    """Return how many elements the model's outputs have, 0 when the table lacks them."""
    outputs = (layer for layer in layers if layer.op == "OutputOperator")
    return sum(prod(shape) for layer in outputs for shape in layer.input_shapes)
