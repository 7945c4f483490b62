"""How an image becomes an input, as the user says it: the options of the preprocess."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from ..core.list_kinds import Numbers
from ..core.option_kinds import Choice, Number
from ..core.options import Options, opt

Resize = Literal["stretch", "letterbox", "corner", "fit", "crop"]
Color = Literal["rgb", "bgr", "gray"]
Layout = Literal["nchw", "nhwc"]

# what others call them
_RESIZES_ELSEWHERE = {
    **dict.fromkeys(("center-crop", "centre-crop"), "crop"),
    **dict.fromkeys(("squash", "resize", "warp"), "stretch"),
    "pad": "letterbox",
}
_COLORS_ELSEWHERE = dict.fromkeys(("grey", "grayscale", "greyscale", "l", "mono"), "gray")
_VERBS = "run prune quantize convert check predict"


@dataclass(frozen=True)
class Preprocessing(Options):
    """How an image becomes an input; the size comes from the model's input."""

    heading: ClassVar[str] = "Preprocessing"

    resize: Resize = opt(
        "stretch",
        Choice(("stretch", "letterbox", "corner", "fit", "crop"), _RESIZES_ELSEWHERE),
        "How an image gets the input's size. stretch; letterbox (keep the ratio, centred, padded); "
        "corner (the same, at the top left); "
        "fit (full height, left-aligned, padded on the right); crop (the centre).",
        _VERBS,
    )
    pad: float | None = opt(
        None,
        Number(0, 255),
        "Pixel value of the padding.",
        _VERBS,
        default="114 for letterbox and corner, the mean for fit",
    )
    color: Color | None = opt(
        None,
        Choice(("rgb", "bgr", "gray"), _COLORS_ELSEWHERE),
        "Channel order that the model was trained with.",
        _VERBS,
        default="rgb",
    )
    mean: tuple[float, ...] = opt(
        (0.0,), Numbers(), "Subtracted from each channel, on the 0..255 scale.", _VERBS
    )
    std: tuple[float, ...] = opt(
        (1.0,),
        Numbers(above=0),
        "Divides each channel after that, on the 0..255 scale.",
        _VERBS,
    )
    layout: Layout | None = opt(
        None,
        Choice(("nchw", "nhwc")),
        "Order of the input's values: channels first (nchw) or last (nhwc).",
        _VERBS,
        default="what the input's shape says",
    )


DEFAULT_PREPROCESSING = Preprocessing()
