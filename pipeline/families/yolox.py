"""YOLOX: no anchors, objectness, images as they are."""

from __future__ import annotations

from ..recognition.detector_form import (
    Scale,
    cells_of,
    channels_of,
    head_scales,
    is_raw,
    names_of,
    rows_outputs,
)
from ..recognition.family import Cut, Family, Match, settings_from
from ..recognition.model_view import ModelView

_SCALES, _BOX, _OBJECT = 3, 4, 1


def _recognise(view: ModelView) -> Match | None:
    scales, classes = _head(view)
    if not classes or is_raw(view, scales):  # maps alone may be those of FCOS
        return None
    joined = [output.shape[1] for output in view.outputs if len(output.shape) == 4]
    if joined == [5 + classes] * len(scales) == [5 + classes] * len(view.outputs):
        return _match(scales, "yolox")
    if len(view.outputs) != 1 or not rows_outputs(view, 5 + classes, cells_of(scales)):
        return None
    # sides are logarithms until they are decoded, in the model or outside
    return _match(scales, "yolov5" if view.operators.get("Exp") else "yolox")


def _match_named(view: ModelView) -> Match | None:
    scales, classes = _head(view)
    return _match(scales, "yolox", is_cut=True) if classes and is_raw(view, scales) else None


def _head(view: ModelView) -> tuple[tuple[Scale, ...], int]:
    """Return the maps of boxes, objectness and classes, in this order, and how many classes."""
    scales = head_scales(view, [output.name for output in view.outputs])
    channels = list(channels_of(scales) or ())
    if (
        len(scales) != _SCALES
        or len(channels) != 3
        or _BOX not in channels
        or _OBJECT not in channels
    ):
        return scales, 0
    return scales, sum(channels) - _BOX - _OBJECT


def _match(scales: tuple[Scale, ...], head: str, *, is_cut: bool = False) -> Match:
    fed = settings_from("form", resize="corner", color="bgr", mean=0.0, std=1.0)
    measured = settings_from("form", metric="map50", metric_option={"head": head})
    cut = None if is_cut else Cut(names_of(scales), {"metric_option.head": "yolox"})
    return Match("form", {**fed, **measured}, cut)


FAMILY = Family("YOLOX of Megvii", _recognise, _match_named)
