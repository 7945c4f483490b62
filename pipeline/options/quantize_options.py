"""How a model is quantized."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from ...core.diagnostics import option
from ...core.option_kinds import Choice, Flag, Number, Text, Whole
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
            "quantize": Choice(
                _quantized, SCHEMES_ELSEWHERE, "run and convert have float16: nothing to quantize"
            ),
            "inspect": Choice(
                ("w8a8", "float16"), SCHEMES_ELSEWHERE, "run and quantize have the other schemes"
            ),
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
    search_time: float | None = opt(
        300.0,
        Number(1, metavar="S", unit="s"),
        f"Seconds to look for the tensors of {option('mixed')}.",
        "run quantize",
        default="300",
        off=True,
    )
    search_choices: int | None = opt(
        None,
        Whole(1, 100_000),
        f"Choices of tensors to try for {option('mixed')}, at most. Unlike a time it gives the "
        "same on every machine.",
        "run quantize",
        default="as many as there is time for",
    )
    train: Literal["distill", "off"] = opt(
        "off",
        Choice(("distill", "off")),
        "Train the quantized model to give what the float model gives, without labels (needs "
        "PyTorch). Kept where it is better.",
        "run quantize",
    )
    train_time: float | None = opt(
        600.0,
        Number(1, 1e6, "S", "s"),
        f"Seconds to train for {option('train', 'distill')}, at most.",
        "run quantize",
        default="600",
        off=True,
    )
    train_steps: int = opt(
        2000,
        Whole(1, 1_000_000),
        f"Mini-batches to train for {option('train', 'distill')}, at most. Unlike a time it gives "
        "the same on every machine.",
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
