"""Which task is drawn how: one prediction, or those of two models side by side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...calibration_data.images.geometry import Pixels
from ...core.results.differences import Difference
from ...core.results.predictions import (
    PredictedMap,
    PredictedObjects,
    PredictedSpeech,
    Prediction,
)
from ..text.prediction_text import prediction_lines
from .canvas import Canvas
from .map_drawing import draw_map
from .object_drawing import MarkedObject, after_objects, before_objects, draw_objects
from .speech_drawing import speech_picture

_GAP = 6
_HAS_PLACES = (PredictedObjects, PredictedMap)


def drawn(picture: Pixels | None, prediction: Prediction, title: str = "") -> Pixels | None:
    """Return the picture with a prediction: in its place, or in words below.

    None where there is neither a picture nor a curve to draw.
    """
    if isinstance(prediction, PredictedObjects):
        return _with_objects(picture, [MarkedObject(each) for each in prediction.objects], title)
    return _with_others(picture, prediction, title)


def drawn_apart(
    picture: Pixels | None,
    predictions: tuple[Prediction, Prediction],
    difference: Difference,
    titles: tuple[str, str],
    least: float,
) -> Pixels | None:
    """Return both predictions side by side, with what differs marked; None as ``drawn``."""
    if isinstance(predictions[0], PredictedObjects):
        before, after = before_objects(difference.objects, least), after_objects(difference.objects)
        panels = [
            _with_objects(picture, objects, title)
            for objects, title in zip((before, after), titles, strict=True)
        ]
    else:
        panels = [
            _with_others(picture, prediction, title)
            for prediction, title in zip(predictions, titles, strict=True)
        ]
    return _joined([panel for panel in panels if panel is not None])


def drawn_small(
    picture: Pixels, prediction: Prediction, difference: Difference, longest: int
) -> Pixels | None:
    """Return the second model's prediction in its place, with what the first had beside it.

    At most ``longest`` pixels wide and high. None for what has no place in a picture.
    """
    if not isinstance(prediction, _HAS_PLACES):
        return None
    canvas = Canvas(picture, longest)
    if isinstance(prediction, PredictedMap):
        draw_map(canvas, prediction)
    else:
        draw_objects(canvas, after_objects(difference.objects))
    return canvas.pixels


def _with_objects(
    picture: Pixels | None, objects: Sequence[MarkedObject], title: str
) -> Pixels | None:
    if picture is None:
        return None
    canvas = Canvas(picture)
    draw_objects(canvas, objects)
    return _titled(canvas, title)


def _with_others(picture: Pixels | None, prediction: Prediction, title: str) -> Pixels | None:
    if isinstance(prediction, PredictedSpeech):
        return speech_picture(prediction, title)
    if picture is None:
        return None
    canvas = Canvas(picture)
    if isinstance(prediction, PredictedMap):
        draw_map(canvas, prediction)
    else:
        canvas.caption([(line, None) for line in prediction_lines(prediction)])
    return _titled(canvas, title)


def _titled(canvas: Canvas, title: str) -> Pixels:
    if title:
        canvas.caption([(title, None)])
    return canvas.pixels


def _joined(panels: Sequence[Pixels]) -> Pixels | None:
    """Return pictures beside one another; curves, which are wide, one below the other."""
    if not panels:
        return None
    axis = 0 if panels[0].shape[1] > 3 * len(panels[0]) else 1
    longest = max(panel.shape[1 - axis] for panel in panels)
    parts = []
    for number, panel in enumerate(panels):
        room = [(0, 0), (0, 0), (0, 0)]
        room[1 - axis] = (0, longest - panel.shape[1 - axis])
        room[axis] = (0, _GAP if number + 1 < len(panels) else 0)
        parts.append(np.pad(panel, room, constant_values=255))
    return np.concatenate(parts, axis=axis)
