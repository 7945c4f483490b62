"""The options that say how the accuracy is checked, see options.py."""

from __future__ import annotations

from typing import Annotated, Literal

from typer import Option

Layout = Annotated[
    Literal["nchw", "nhwc"] | None,
    Option(
        "--layout",
        help="Order of the input's values: channels first (nchw) or last (nhwc). "
        "[default: what the input's shape says]",
    ),
]
Robustness = Annotated[
    bool,
    Option(
        "--robustness",
        help="Measure on images with noise, blur, JPEG artefacts and other brightness too.",
    ),
]
