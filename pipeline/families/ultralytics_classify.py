"""Classifiers of the ultralytics package."""

from __future__ import annotations

from ..recognition.family import Family, Match, settings_from
from ..recognition.model_view import ModelView
from ..recognition.ultralytics_export import is_export, size_setting


def _recognise(view: ModelView) -> Match | None:
    if not is_export(view, "classify"):
        return None
    fed = settings_from("metadata", resize="crop", std=255.0, metric="top1")
    return Match("metadata", {**fed, **size_setting(view)})


FAMILY = Family("classifiers of the ultralytics package", _recognise)
