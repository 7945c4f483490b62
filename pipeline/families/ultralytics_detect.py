"""Detectors exported by the ultralytics package: YOLOv3 to v13, and YOLO26."""

from __future__ import annotations

from ..recognition.family import Family, Match, settings_from
from ..recognition.model_view import ModelView


def _recognise(view: ModelView) -> Match | None:
    if view.metadata.get("task") != "detect" or "stride" not in view.metadata:
        return None
    return Match(
        "metadata", settings_from("metadata", resize="letterbox", std=255.0, metric="map50")
    )


FAMILY = Family("detectors exported by the ultralytics package", _recognise)
