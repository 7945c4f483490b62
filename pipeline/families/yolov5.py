"""YOLOv5 as its export.py writes it, and YOLOv7 as its own does, which look alike."""

from __future__ import annotations

from ..recognition.anchored_export import match_anchored
from ..recognition.family import Family, Match
from ..recognition.model_view import ModelView


def _recognise(view: ModelView) -> Match | None:
    return match_anchored(view, is_named=False)


def _match_named(view: ModelView) -> Match | None:
    return match_anchored(view, is_named=True)


FAMILY = Family("YOLOv5 and YOLOv7, with anchors", _recognise, _match_named)
