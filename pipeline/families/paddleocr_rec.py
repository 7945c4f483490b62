"""Text recognisers of PaddleOCR, v2 to v6: a class a step, whose characters the metadata hold.

Preprocessing as in PaddleOCR's RecResizeImg and tools/infer/predict_rec.py: OpenCV's colour order,
the height of the model, the ratio kept, padded on the right, and (x / 255 - 0.5) / 0.5.
"""

from __future__ import annotations

from ..recognition.family import Family, Match, settings_from
from ..recognition.model_view import ModelView
from ..recognition.paddle import is_of_paddle

_HEIGHT, _WIDTH = 48, 320  # from v3 on; v2 fixes its own height
_SPARE = (1, 2)  # classes beside the characters: the blank, and a space


def _recognise(view: ModelView) -> Match | None:
    count = len(view.metadata.get("character", "").removesuffix("\n").split("\n"))
    classes = _classes(view)
    if classes is None or classes - count not in _SPARE:
        return None
    return _match(view, charset=str(view.path))


def _named(view: ModelView) -> Match | None:
    is_it = view.image is not None and _classes(view) is not None and is_of_paddle(view)
    return _match(view) if is_it else None


def _match(view: ModelView, charset: str | None = None) -> Match:
    settings = settings_from(
        "form", resize="fit", color="bgr", mean=[127.5], std=[127.5], metric="character-accuracy"
    )
    if charset is not None:
        settings |= settings_from("metadata", metric_option={"charset": charset})
    image = view.image
    if image is not None and not image.is_fixed:
        size = [image.height or _HEIGHT, image.width or _WIDTH]
        settings |= settings_from("guess", size=size)
    return Match("metadata" if charset else "form", settings)


def _classes(view: ModelView) -> int | None:
    """Return how many classes a step has; None for a model that is no recogniser."""
    image, outputs = view.image, view.outputs
    if image is None or not image.is_planar or len(outputs) != 1 or len(outputs[0].shape) != 3:
        return None
    return outputs[0].shape[2]


FAMILY = Family("text recognisers of PaddleOCR", _recognise, _named)
