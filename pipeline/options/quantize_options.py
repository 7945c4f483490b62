"""How a model is quantized."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ...core.diagnostics import option
from ...core.option_kinds import Choice, Flag, Number, Text
from ...core.options import Options, opt
from ...quantize.choices.names import (
    METHODS_ELSEWHERE,
    SCHEMES_ELSEWHERE,
    method_names,
    scheme_names,
)


def _quantized() -> tuple[str, ...]:
    return tuple(name for name in scheme_names() if name != "float16")


@dataclass(frozen=True)
class QuantizeOptions(Options):
    """The number format, and how it is reached."""

    heading: ClassVar[str] = "Quantization"

    scheme: str = opt(
        "w8a8",
        Choice(scheme_names, SCHEMES_ELSEWHERE),
        "The number format: bits of weights (w) and activations (a).",
        "run quantize inspect",
        heading="Result",
        kinds={
            "quantize": Choice(_quantized, SCHEMES_ELSEWHERE),
            "inspect": Choice(("w8a8", "float16"), SCHEMES_ELSEWHERE),
        },
    )
    method: str = opt(
        "auto",
        Choice(method_names, METHODS_ELSEWHERE),
        "How to choose ranges and round weights.",
        "run quantize",
        default="auto, the best by trial",
    )
    mixed: str = opt(
        "auto",
        Text("BUDGET", forms=("auto", "off", "latency=+8%", "sqnr=25", "cycles=+8%", "size=-15%")),
        "Tensors in 16 bits, where that pays. What they may cost or must bring: latency=+8%, "
        "sqnr=25 (dB), cycles=+8% (which leaves conversions out), in w4a16 size=-15%; or off.",
        "run quantize",
    )
    search_time: float = opt(
        300.0,
        Number(1, metavar="S"),
        f"Seconds to look for the tensors of {option('mixed')}.",
        "run quantize",
    )
    symmetric: bool = opt(
        False, Flag(), "Zero points of 0 and float biases, as TensorRT wants them.", "quantize"
    )


@dataclass(frozen=True)
class ExplainOptions(Options):
    """What is told of a quantized model beside what is written."""

    heading: ClassVar[str] = "Quantization"

    explain: bool = opt(
        False, Flag(), "Show which tensors lose most, alone and accumulated.", "quantize"
    )
    simulator: bool = opt(
        False, Flag(), f"As {option('explain')}, accumulated in the RKNN simulator too.", "quantize"
    )
