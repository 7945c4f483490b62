"""YOLOv7 where it does not hold its anchors; otherwise it is recognised as YOLOv5, which it is."""

from __future__ import annotations

from ..recognition.anchored_export import match_anchored
from ..recognition.family import Family, Match
from ..recognition.model_view import ModelView

# for COCO; those of YOLOv7-tiny are YOLOv5's
_ANCHORS = (12, 16, 19, 36, 40, 28, 36, 75, 76, 55, 72, 146, 142, 110, 192, 243, 459, 401)


def _recognise(view: ModelView) -> Match | None:
    return None


def _match_named(view: ModelView) -> Match | None:
    return match_anchored(view, _ANCHORS, is_named=True)


FAMILY = Family("YOLOv7, with anchors", _recognise, _match_named)
