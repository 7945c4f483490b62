"""Instance segmentation of the ultralytics package: boxes with coefficients, and prototypes."""

from __future__ import annotations

from ..recognition.family import Family, Match
from ..recognition.model_view import ModelView
from ..recognition.ultralytics_export import match_export


def _recognise(view: ModelView) -> Match | None:
    maps = [output for output in view.outputs if len(output.shape) == 4]
    # beside raw maps, which have four axes too, the prototypes are those of most cells
    finest = max(maps, key=lambda output: output.shape[2] or 0, default=None)
    prototypes = (finest.name,) if finest is not None else ()
    return match_export(
        view,
        "segment",
        "mask50",
        maps=3,
        has_form=len(prototypes) == 1 and len(view.outputs) > 1,
        beside=prototypes,
    )


FAMILY = Family("instance segmentation of the ultralytics package", _recognise)
