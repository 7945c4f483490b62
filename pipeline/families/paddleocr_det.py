"""Text detectors of PaddleOCR (DB), v2 to v6: a map of the image's size, 1 where text is.

Preprocessing as in PaddleOCR's tools/infer/predict_det.py: OpenCV's colour order, and ImageNet's
mean and deviation in the order in which they stand there. An image keeps its size there, rounded to
32, so the size is a guess: 480 x 480 as in Rockchip's model zoo.
"""

from __future__ import annotations

from ..recognition.family import Family, Match, settings_from
from ..recognition.model_view import ModelView
from ..recognition.paddle import IMAGENET, ends_in, is_of_paddle

_SIZE = [480, 480]


def _recognise(view: ModelView) -> Match | None:
    return _match(view) if is_of_paddle(view) and _gives_a_map(view) else None


def _named(view: ModelView) -> Match | None:
    return _match(view) if _gives_a_map(view) else None


def _match(view: ModelView) -> Match:
    settings = settings_from("form", color="bgr", metric="text-boxes", **IMAGENET)
    if view.image is not None and not view.image.is_fixed:
        settings |= settings_from("guess", size=_SIZE)
    return Match("form", settings)


def _gives_a_map(view: ModelView) -> bool:
    """Return whether a Sigmoid behind a deconvolution is the one output, a plane."""
    if view.image is None or view.image.channels != 3 or len(view.outputs) != 1:
        return False
    shape = view.outputs[0].shape
    if len(shape) != 4 or shape[1] not in (1, None):
        return False
    return ends_in(view, "Sigmoid", "ConvTranspose")


FAMILY = Family("text detectors of PaddleOCR", _recognise, _named)
