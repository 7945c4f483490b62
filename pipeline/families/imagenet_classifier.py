"""Classifiers of ImageNet's 1000 classes, as torchvision and timm export them.

Nothing in such a file says how it was trained. Most of both libraries' weights were trained with
ImageNet's mean and deviation, on the centre of the image; so that is a guess, and called one.
Networks for smaller images than any of these weights were trained on are taken by name alone.
"""

from __future__ import annotations

from ..recognition.family import Family, Match, settings_from
from ..recognition.model_view import ModelView
from ..recognition.paddle import IMAGENET

_CLASSES = 1000
_SIZE = [224, 224]
_SMALLEST = 96
_FIRST = ("Conv", "Pad")  # anything else may be a normalisation inside the model
_MOVING = ("Reshape", "Flatten", "Identity")


def _recognise(view: ModelView) -> Match | None:
    match = _named(view) if view.producer.startswith("pytorch") else None
    sides = (view.image.height, view.image.width) if view.image is not None else ()
    is_small = any(side is not None and side < _SMALLEST for side in sides)
    return None if is_small else match


def _named(view: ModelView) -> Match | None:
    image, outputs = view.image, view.outputs
    if image is None or image.channels != 3 or not image.is_planar or len(view.inputs) != 1:
        return None
    if len(outputs) != 1 or outputs[0].shape[1:] != (_CLASSES,) or not _begins_plainly(view):
        return None
    settings = settings_from("guess", resize="crop", **IMAGENET)
    settings |= settings_from("form", metric="top1")
    if not image.is_fixed:
        settings |= settings_from("guess", size=_SIZE)
    return Match("guess", settings)


def _begins_plainly(view: ModelView) -> bool:
    readers = view.consumers.get(view.inputs[0].name, [])
    return all(node.op_type in _FIRST for node in readers)


FAMILY = Family("classifiers of torchvision and timm", _recognise, _named)
