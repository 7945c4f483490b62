"""PP-YOLOE of PaddleDetection, with its own selection of boxes or without."""

from __future__ import annotations

from ..recognition.detector_form import (
    cells_of,
    channels_of,
    head_scales,
    is_raw,
    names_of,
    rows_outputs,
    selects_boxes,
)
from ..recognition.family import Cut, Family, Match, settings_from
from ..recognition.model_view import ModelView

_BOXES = 68  # four sides of 17 bins
_SCALES = 3


def _recognise(view: ModelView) -> Match | None:
    scales = head_scales(view, [output.name for output in view.outputs])
    channels = channels_of(scales) or ()
    if len(scales) != _SCALES or len(channels) != 2 or _BOXES not in channels:
        return None
    apart = len(view.outputs) == 2 and bool(rows_outputs(view, 4, cells_of(scales)))
    if not apart and not selects_boxes(view):
        return None
    cut = Cut(names_of(scales), {"metric_option.head": "pp-yoloe"})
    return _match("boxes-scores" if apart and not selects_boxes(view) else "", cut)


def _match_named(view: ModelView) -> Match | None:
    scales = head_scales(view, [output.name for output in view.outputs])
    fits = is_raw(view, scales) and _BOXES in (channels_of(scales) or ())
    return _match("pp-yoloe", None) if fits else None


def _match(head: str, cut: Cut | None) -> Match:
    fed = {
        **settings_from("form", resize="stretch"),
        **settings_from("guess", mean=0.0, std=255.0),  # of PP-YOLOE+; before it ImageNet's
    }
    options = settings_from("form", metric_option={"head": head} if head else {})
    return Match("form", {**fed, **settings_from("form", metric="map50"), **options}, cut)


FAMILY = Family("PP-YOLOE of PaddleDetection", _recognise, _match_named)
