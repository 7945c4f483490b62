"""Poses of the ultralytics package: boxes with keypoints."""

from __future__ import annotations

import re

from ..recognition.family import Family, Match
from ..recognition.model_view import ModelView
from ..recognition.ultralytics_export import match_export

_KEYPOINTS = re.compile(r"\[([1-9]\d{0,3}), ([23])\]")


def _recognise(view: ModelView) -> Match | None:
    shape = _KEYPOINTS.fullmatch(view.metadata.get("kpt_shape", ""))
    return match_export(
        view,
        "pose",
        "pose50",
        maps=3,
        # angles are what rotated boxes have there
        has_form=not view.operators.get("Cos") and len(view.outputs) == 1,
        options={"keypoints": int(shape[1]), "numbers": int(shape[2])} if shape else {},
    )


FAMILY = Family("poses of the ultralytics package", _recognise)
