"""What is said of how an image becomes an input, the model's size left out; imports no numpy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Resize = Literal["stretch", "letterbox", "fit", "crop"]
Color = Literal["rgb", "bgr", "gray"]
Layout = Literal["nchw", "nhwc"]


@dataclass(frozen=True)
class Preprocessing:
    """How an image becomes an input; size, channels and layout come from the model's input.

    ``mean`` and ``std`` are in the 0..255 pixel scale, one value or one a channel. ``pad``,
    ``color`` and ``layout`` None leave the choice to ``preprocess_for``.
    """

    resize: Resize = "stretch"
    pad: float | None = None
    color: Color | None = None
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    layout: Layout | None = None


DEFAULT_PREPROCESSING = Preprocessing()
