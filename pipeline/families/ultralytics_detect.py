"""Detectors as the ultralytics package exports them: YOLOv3 to v13 without anchors, and YOLO26."""

from __future__ import annotations

from ...core.results.family_figure import Source
from ..recognition.detector_form import Scale, head_scales, names_of
from ..recognition.family import Cut, Family, Match, settings_from
from ..recognition.model_view import ModelView
from ..recognition.ultralytics_export import (
    export_settings,
    has_head,
    is_decoded,
    is_export,
    is_raw,
    selects,
)


def _recognise(view: ModelView) -> Match | None:
    scales = head_scales(view, [output.name for output in view.outputs])
    head = _head_of(view, scales)
    evidence: Source = "metadata" if is_export(view, "detect") else "form"
    if evidence == "form" and (head is None or not has_head(scales)):
        return None
    options = settings_from("form", metric_option={"head": head} if head else {})
    settings = {**settings_from(evidence, metric="map50"), **options}
    if evidence == "metadata":
        fed = export_settings(view)
    else:  # maps alone may be those of another detector that learns distances as distributions
        fed = settings_from(
            "guess" if is_raw(view, scales) else "form", resize="letterbox", std=255.0
        )
    return Match(evidence, {**fed, **settings}, _cut(view, scales))


def _head_of(view: ModelView, scales: tuple[Scale, ...]) -> str | None:
    """Return the name that the metric has for the outputs; None for others."""
    if has_head(scales) and is_raw(view, scales):
        return "yolov8"
    shapes = [output.shape for output in view.outputs]
    if len(shapes) != 1 or len(shapes[0]) != 3:
        return None
    if shapes[0][2] == 6 and selects(view):
        return "end2end"
    return "yolov8" if is_decoded(shapes[0], scales) else None


def _cut(view: ModelView, scales: tuple[Scale, ...]) -> Cut | None:
    if not has_head(scales) or is_raw(view, scales):
        return None
    return Cut(names_of(scales), {"metric_option.head": "yolov8"})


FAMILY = Family("detectors of the ultralytics package", _recognise)
