"""Speech: a curve of its probability over the frames, with the segments behind it."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from ...calibration_data.images.geometry import Pixels
from ...core.results.predictions import PredictedSpeech
from ..text.prediction_text import speech_lines
from .canvas import Canvas
from .palette import GRAY, class_colour

_WIDTH, _HEIGHT, _EDGE = 960, 200, 10
_BLUE = 4


def speech_picture(prediction: PredictedSpeech, title: str) -> Pixels:
    """Return the curve as a picture, with the title and what was counted below it."""
    canvas = Canvas(np.full((_HEIGHT, _WIDTH, 3), 255, np.uint8))
    frames, inside = len(prediction.probabilities), _HEIGHT - 2 * _EDGE

    def across(frame: float) -> float:
        return _EDGE + (_WIDTH - 2 * _EDGE) * frame / max(frames, 1)

    def up(probability: float) -> float:
        return _EDGE + inside * (1 - min(max(probability, 0.0), 1.0))

    speech = np.zeros((_HEIGHT, _WIDTH), bool)
    for first, last in prediction.segments:
        speech[_EDGE : _HEIGHT - _EDGE, round(across(first)) : round(across(last))] = True
    canvas.shade(speech, class_colour(0))
    level = up(prediction.threshold)
    canvas.stroke((_EDGE, level), (_WIDTH - _EDGE, level), GRAY, dashed=True)
    points = [(across(i + 0.5), up(value)) for i, value in enumerate(prediction.probabilities)]
    for start, end in pairwise(points):
        canvas.stroke(start, end, class_colour(_BLUE))
    for point in points if len(points) == 1 else ():
        canvas.dot(point, class_colour(_BLUE))
    lines = [title, *speech_lines(prediction)] if title else speech_lines(prediction)
    canvas.caption([(line, None) for line in lines])
    return canvas.pixels
