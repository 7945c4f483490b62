"""Embeddings of aligned faces: ArcFace, MobileFaceNet and their like.

Preprocessing as in InsightFace's arcface_onnx.py: 112x112 RGB, (x - 127.5) / 127.5, or nothing
where the model begins with its own difference and product.
"""

from __future__ import annotations

from ..recognition.family import Family, Match, settings_from
from ..recognition.model_view import ModelView

_SIDE = 112
_LENGTHS = (128, 256, 512)


def _recognise(view: ModelView) -> Match | None:
    image, outputs = view.image, view.outputs
    if image is None or image.channels != 3 or len(view.inputs) != 1 or len(outputs) != 1:
        return None
    if (image.height, image.width) != (_SIDE, _SIDE) or not _is_embedding(outputs[0].shape):
        return None
    settings = settings_from("form", color="rgb", metric="recall@1")
    if not _normalises(view):
        settings |= settings_from("guess", mean=[127.5], std=[127.5])
    return Match("form", settings)


def _is_embedding(shape: tuple[int | None, ...]) -> bool:
    return len(shape) >= 2 and shape[1] in _LENGTHS and all(side == 1 for side in shape[2:])


def _normalises(view: ModelView) -> bool:
    readers = view.consumers.get(view.inputs[0].name, [])
    return any(node.op_type in ("Sub", "Mul", "Div", "BatchNormalization") for node in readers)


FAMILY = Family("embeddings of faces", _recognise)
