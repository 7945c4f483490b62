"""Rotated boxes of the ultralytics package."""

from __future__ import annotations

from ..recognition.family import Family, Match
from ..recognition.model_view import ModelView
from ..recognition.ultralytics_export import match_export


def _recognise(view: ModelView) -> Match | None:
    turns = bool(view.operators.get("Cos"))
    return match_export(view, "obb", "obb50", maps=3, has_form=turns)


FAMILY = Family("rotated boxes of the ultralytics package", _recognise)
