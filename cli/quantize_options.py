"""The options that say how to quantize, see options.py."""

from __future__ import annotations

from typing import Annotated, Literal

from typer import Option

from .parsers import number

QuantizeRun = Annotated[
    Literal["w8a8", "w8a16", "w4a16", "off"] | None,
    Option(
        "--quantize",
        help="Bits of weights (w) and activations (a); off stays in float16. [default: w8a8]",
    ),
]
Method = Annotated[
    Literal[
        "auto",
        "gptq",
        "gptq-min-max",
        "gptq-sequential",
        "gptq-min-max-sequential",
        "gptq-equalized",
        "gptq-min-max-equalized",
        "mse",
        "min-max",
        "percentile",
        "kl",
    ]
    | None,
    Option(
        "--method",
        help="How to choose ranges and round weights. [default: auto, the best by trial]",
    ),
]
MixedBudget = Annotated[
    str | None,
    Option(
        "--mixed",
        metavar="BUDGET",
        help="What 16 bits may cost or must bring: cycles=+8%, sqnr=25, "
        "in w4a16 size=-15%; or off. [default: auto]",
    ),
]
SearchTime = Annotated[
    float | None,
    Option(
        "--search-time",
        metavar="S",
        parser=number(1),
        help="Seconds to look for the tensors of --mixed. [default: 300]",
    ),
]
Symmetric = Annotated[
    bool,
    Option("--symmetric", help="Zero points of 0 and float biases, as TensorRT wants them."),
]
Simulator = Annotated[
    bool,
    Option("--simulator", help="As --explain, accumulated in the RKNN simulator too."),
]
Explain = Annotated[
    bool,
    Option("--explain", help="Show which tensors lose most, alone and accumulated."),
]
