"""The options that say how to quantize, see options.py."""

from __future__ import annotations

from typing import Annotated, Literal

from typer import Option

Method = Annotated[
    Literal["auto", "gptq", "gptq-min-max", "mse", "min-max", "percentile", "kl"] | None,
    Option(
        "--method",
        help="How to choose ranges and round weights. [default: auto, the best by trial]",
    ),
]
