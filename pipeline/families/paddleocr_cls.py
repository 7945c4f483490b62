"""Classifiers of a text line's direction of PaddleOCR: 0 or 180 degrees.

Preprocessing as in PaddleOCR's tools/infer/predict_cls.py: OpenCV's colour order, 3x48x192, the
ratio kept, padded on the right, and (x / 255 - 0.5) / 0.5.
"""

from __future__ import annotations

from ..recognition.family import Family, Match, settings_from
from ..recognition.model_view import ModelView
from ..recognition.paddle import ends_in, is_of_paddle

_SIZE = [48, 192]
_ACTIVATION = ("Clip", "HardSigmoid")  # of MobileNetV3, as Paddle writes it


def _recognise(view: ModelView) -> Match | None:
    """Recognise MobileNetV3 with two classes; what was trained otherwise has other parts."""
    has_activation = any(name in view.operators for name in _ACTIVATION)
    is_it = is_of_paddle(view) and has_activation and "HardSwish" not in view.operators
    return _named(view) if is_it else None


def _named(view: ModelView) -> Match | None:
    image, outputs = view.image, view.outputs
    if image is None or image.channels != 3 or len(outputs) != 1 or outputs[0].shape[1:] != (2,):
        return None
    if not ends_in(view, "Softmax"):
        return None
    settings = settings_from("guess", resize="fit", color="bgr", mean=[127.5], std=[127.5])
    settings |= settings_from("form", metric="top1")
    if not image.is_fixed:
        settings |= settings_from("guess", size=_SIZE)
    return Match("form", settings)


FAMILY = Family("classifiers of a text line's direction of PaddleOCR", _recognise, _named)
