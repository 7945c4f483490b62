"""RT-DETR as the ultralytics package exports it: boxes in shares of an image that is stretched."""

from __future__ import annotations

from ..recognition.family import Family, Match, settings_from
from ..recognition.model_view import ModelView
from ..recognition.ultralytics_export import has_rtdetr_head, size_setting

_FEWEST = 5  # numbers of a row: a box and a class


def _recognise(view: ModelView) -> Match | None:
    if not has_rtdetr_head(view):
        return None
    fed = settings_from("metadata", resize="stretch", std=255.0, metric="map50")
    head = settings_from("form", metric_option={"head": "rtdetr"}) if _gives_rows(view) else {}
    return Match("metadata", {**fed, **size_setting(view), **head})


def _gives_rows(view: ModelView) -> bool:
    shapes = [output.shape for output in view.outputs]
    return len(shapes) == 1 and len(shapes[0]) == 3 and (shapes[0][2] or _FEWEST) >= _FEWEST


FAMILY = Family("RT-DETR of the ultralytics package", _recognise)
