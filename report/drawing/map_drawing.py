"""A class for each pixel: the classes' colours over the picture, and what they mean below it."""

from __future__ import annotations

import numpy as np

from ...core.results.predictions import PredictedMap
from .canvas import Canvas
from .palette import class_colour

_LISTED = 8


def draw_map(canvas: Canvas, prediction: PredictedMap) -> None:
    """Lay the colours over the picture, but where the model did not see it (below 0)."""
    classes, places = np.unique(prediction.pixels, return_inverse=True)
    table = np.array([class_colour(index) for index in classes.tolist()], np.uint8)
    colours = table[places.reshape(prediction.pixels.shape)]
    canvas.tint(prediction.pixels >= 0, colours)
    listed = prediction.shares[:_LISTED]
    canvas.caption(
        [(f"{share.name}  {share.share:.1%}", class_colour(share.index)) for share in listed]
    )
