"""From the pixels of a model's input back to those of the picture that became it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from ..calibration_data.images.geometry import ImagePlacement, Size
from ..core.results.predictions import (
    Box,
    Point,
    PredictedMap,
    PredictedObject,
    PredictedObjects,
    Prediction,
)
from ..core.types import Array

# a class that no model has: pixels of a picture that a crop cut off
OUTSIDE = -1


def in_picture(prediction: Prediction, placement: ImagePlacement, picture: Size) -> Prediction:
    """Return a prediction with its places in a picture of this height and width.

    ``placement`` is the picture's in the model's input. What has no places stays as it is.
    """
    if isinstance(prediction, PredictedMap):
        pixels = prediction.pixels
        signed = pixels.astype(np.promote_types(pixels.dtype, np.int16))
        return replace(prediction, pixels=_spread(signed, placement, picture, OUTSIDE))
    if not isinstance(prediction, PredictedObjects):
        return prediction
    back = placement.back(picture)
    return PredictedObjects(
        tuple(
            replace(
                each,
                box=_box(each, back, picture),
                outline=_moved(each.outline, back),
                keypoints=_moved(each.keypoints, back),
                mask=None if each.mask is None else _spread(each.mask, placement, picture, 0),
            )
            for each in prediction.objects
        )
    )


def _spread(mask: Array, placement: ImagePlacement, picture: Size, outside: int) -> Array:
    """Return a map (h, w) of the input in the picture's size."""
    height, width = mask.shape
    return placement.of_size((height, width)).back(picture).mask(mask, outside)


def _moved(points: Iterable[Point], back: ImagePlacement) -> tuple[Point, ...]:
    (down, across), (top, left) = back.scale, back.corner
    return tuple((x * across + left, y * down + top) for x, y in points)


def _box(each: PredictedObject, back: ImagePlacement, picture: Size) -> Box:
    """Return the box as far as it lies in the picture."""
    left, top, right, bottom = each.box
    (x1, y1), (x2, y2) = _moved([(left, top), (right, bottom)], back)
    height, width = picture
    low_x, high_x = sorted(min(max(x, 0.0), float(width)) for x in (x1, x2))
    low_y, high_y = sorted(min(max(y, 0.0), float(height)) for y in (y1, y2))
    return low_x, low_y, high_x, high_y
