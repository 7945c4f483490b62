"""RetinaFace in PyTorch: faces with five landmarks, against priors."""

from __future__ import annotations

from ..recognition.detector_form import channels_of, head_scales, is_raw, names_of, rows_outputs
from ..recognition.family import Cut, Family, Match, settings_from
from ..recognition.model_view import ModelView

_CHANNELS = (4, 8, 20)  # of two priors each: no face and face, box, five landmarks
_COLUMNS = (4, 2, 10)
_SCALES = 3


def _recognise(view: ModelView) -> Match | None:
    scales = head_scales(view, [output.name for output in view.outputs])
    rows = [rows_outputs(view, columns, None) for columns in _COLUMNS]
    fits = all(len(names) == 1 for names in rows) and len(view.outputs) == len(_COLUMNS)
    if (
        len(scales) != _SCALES
        or channels_of(scales) != _CHANNELS
        or not (fits or is_raw(view, scales))
    ):
        return None
    fed = {
        **settings_from("form", color="bgr", mean=[104.0, 117.0, 123.0], std=1.0),
        **settings_from("guess", resize="letterbox"),  # it is published for images of any size
    }
    measured = settings_from("form", metric="map50", metric_option={"head": "retinaface"})
    cut = Cut(names_of(scales), {"metric_option.head": "retinaface"}) if fits else None
    return Match("form", {**fed, **measured}, cut)


FAMILY = Family("RetinaFace in PyTorch", _recognise)
