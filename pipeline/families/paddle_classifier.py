"""Classifiers of PaddleClas and PaddleX built on PP-LCNet, such as the direction of a page.

Nothing in such a file says how it was trained; most were with ImageNet's mean and deviation on the
centre of the image, so that is a guess.
"""

from __future__ import annotations

from ..recognition.family import Family, Match, settings_from
from ..recognition.model_view import ModelView
from ..recognition.paddle import IMAGENET, ends_in, is_of_paddle

_SIDE = 224


def _recognise(view: ModelView) -> Match | None:
    image, outputs = view.image, view.outputs
    if image is None or (image.channels, image.height, image.width) != (3, _SIDE, _SIDE):
        return None
    if not is_of_paddle(view) or "HardSwish" not in view.operators:
        return None
    if len(outputs) != 1 or len(outputs[0].shape) != 2 or not ends_in(view, "Softmax"):
        return None
    settings = settings_from("guess", resize="crop", **IMAGENET)
    return Match("form", settings | settings_from("form", metric="top1"))


FAMILY = Family("classifiers of PaddleClas and PaddleX", _recognise)
