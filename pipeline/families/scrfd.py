"""SCRFD of insightface: faces, as scores, boxes and mostly landmarks of each scale."""

from __future__ import annotations

from collections import Counter

from ..recognition.detector_form import channels_of, head_scales
from ..recognition.family import Family, Match, settings_from
from ..recognition.model_view import ModelView

_COLUMNS = (1, 4, 10)


def _recognise(view: ModelView) -> Match | None:
    scales = head_scales(view, [output.name for output in view.outputs])
    parts = [tuple(each * columns for columns in _COLUMNS) for each in (1, 2)]
    fits = channels_of(scales) in (*parts, *(part[:2] for part in parts))
    if not fits or not _is_scale_by_scale(view, len(scales)):
        return None
    fed = settings_from("form", resize="corner", pad=0.0, mean=127.5, std=128.0)
    if view.image is not None and not view.image.is_fixed:
        fed |= settings_from("guess", size=[640, 640])
    measured = settings_from("form", metric="map50", metric_option={"head": "scrfd"})
    return Match("form", {**fed, **measured})


def _is_scale_by_scale(view: ModelView, scales: int) -> bool:
    """Return whether there are rows of scores, boxes and maybe landmarks of every scale."""
    columns = Counter(output.shape[-1] for output in view.outputs if len(output.shape) in (2, 3))
    expected = (Counter(dict.fromkeys(_COLUMNS[:count], scales)) for count in (2, 3))
    return len(view.outputs) == sum(columns.values()) and columns in tuple(expected)


FAMILY = Family("SCRFD of insightface", _recognise)
