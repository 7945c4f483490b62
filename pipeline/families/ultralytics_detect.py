"""Detectors as the ultralytics package exports them: YOLOv3 to v13 without anchors, and YOLO26."""

from __future__ import annotations

from ..recognition.family import Family, Match
from ..recognition.model_view import ModelView
from ..recognition.ultralytics_export import has_rtdetr_head, match_export


def _recognise(view: ModelView) -> Match | None:
    return None if has_rtdetr_head(view) else match_export(view, "detect", "map50")


FAMILY = Family("detectors of the ultralytics package", _recognise)
