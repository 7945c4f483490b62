"""PicoDet of PaddleDetection, with its own selection of boxes or without."""

from __future__ import annotations

from collections import Counter

from ..recognition.detector_form import Scale, channels_of, head_scales, names_of, selects_boxes
from ..recognition.family import Cut, Family, Match, settings_from
from ..recognition.model_view import ModelView

_BOXES = 32  # four sides of 8 bins
_SCALES = 4
_MEAN, _STD = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]


def _recognise(view: ModelView) -> Match | None:
    names = [output.name for output in view.outputs]
    if _is_scale_by_scale(view):
        return _match("picodet", None)
    scales = head_scales(view, names)
    if len(scales) != _SCALES or not selects_boxes(view) or not _has_classes(scales):
        return None
    return _match("", Cut(names_of(scales), {"metric_option.head": "picodet"}))


def _is_scale_by_scale(view: ModelView) -> bool:
    """Return whether there are rows of classes and of distances for each of four scales."""
    shapes = [output.shape for output in view.outputs if len(output.shape) == 3]
    columns = Counter(shape[2] for shape in shapes)
    cells = Counter(shape[1] for shape in shapes if shape[1])
    return (
        len(shapes) == len(view.outputs) == 2 * _SCALES
        and sorted(columns.values()) in ([_SCALES] * 2, [2 * _SCALES])
        and columns[_BOXES] >= _SCALES
        and list(cells.values()) in ([2] * _SCALES, [])
    )


def _has_classes(scales: tuple[Scale, ...]) -> bool:
    channels = channels_of(scales) or ()
    return (len(channels) == 1 and channels[0] > _BOXES) or (
        len(channels) == 2 and _BOXES in channels
    )


def _match(head: str, cut: Cut | None) -> Match:
    fed = settings_from("form", resize="stretch", mean=_MEAN, std=_STD)
    options = settings_from("form", metric_option={"head": head} if head else {})
    return Match("form", {**fed, **settings_from("form", metric="map50"), **options}, cut)


FAMILY = Family("PicoDet of PaddleDetection", _recognise)
