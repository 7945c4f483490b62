"""YOLOv6: no anchors, rows with an objectness that is always one."""

from __future__ import annotations

from ..recognition.detector_form import (
    cells_of,
    channels_of,
    head_scales,
    is_raw,
    names_of,
    rows_outputs,
)
from ..recognition.family import Cut, Family, Match, settings_from
from ..recognition.model_view import ModelView

_BOXES = (68, 4)  # with 17 bins a side, or the distances themselves


def _recognise(view: ModelView) -> Match | None:
    scales = head_scales(view, [output.name for output in view.outputs])
    channels = channels_of(scales) or ()
    classes = [sum(channels) - boxes for boxes in _BOXES if boxes in channels]
    rows = [rows_outputs(view, 5 + count, cells_of(scales)) for count in classes]
    if len(channels) != 2 or len(view.outputs) != 1 or not any(rows):
        return None
    return _match("yolov5", Cut(names_of(scales), {"metric_option.head": "yolov6"}))


def _match_named(view: ModelView) -> Match | None:
    scales = head_scales(view, [output.name for output in view.outputs])
    channels = channels_of(scales) or ()
    fits = is_raw(view, scales) and any(count in channels for count in _BOXES)
    return _match("yolov6", None) if fits else None


def _match(head: str, cut: Cut | None) -> Match:
    fed = settings_from("form", resize="letterbox", std=255.0)
    measured = settings_from("form", metric="map50", metric_option={"head": head})
    return Match("form", {**fed, **measured}, cut)


FAMILY = Family("YOLOv6 of Meituan", _recognise, _match_named)
