"""A class for each pixel: the classes' colours over the picture, and what they mean below it."""

from __future__ import annotations

from ...core.results.predictions import PredictedMap
from .canvas import Canvas
from .palette import class_colour

_LISTED = 8


def draw_map(canvas: Canvas, prediction: PredictedMap) -> None:
    """Lay the colours over the picture."""
    for share in prediction.shares:
        canvas.shade(prediction.pixels == share.index, class_colour(share.index))
    listed = prediction.shares[:_LISTED]
    canvas.caption(
        [(f"{share.name}  {share.share:.1%}", class_colour(share.index)) for share in listed]
    )
