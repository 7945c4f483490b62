"""FunASR's voice activity detector (FSMN): features of frames and four caches; classes, caches.

400 features a frame: 80 of a log-mel filter bank, of five frames beside each other. The classes are
248 phones, of which the first is silence (``sil_pdf_ids: [0]`` in the model's config.yaml).
"""

from __future__ import annotations

from ..recognition.family import Family, Match, settings_from
from ..recognition.model_view import ModelView

_FEATURES, _CLASSES, _CACHES = 400, 248, 4
_CACHE = (128, 19, 1)
_FRAMES = 1  # a sample is a frame, so that each has a label


def _recognise(view: ModelView) -> Match | None:
    features, caches = view.inputs[:1], view.inputs[1:]
    if len(caches) != _CACHES or any(cache.shape[1:] != _CACHE for cache in caches):
        return None
    if features[0].shape[2:] != (_FEATURES,) or view.outputs[0].shape[2:] != (_CLASSES,):
        return None
    settings = settings_from("form", metric="vad", metric_option={"silence": "0"})
    if None in features[0].shape:
        settings |= settings_from("guess", input={features[0].name: [1, _FRAMES, _FEATURES]})
    return Match("form", settings)


FAMILY = Family("FunASR's voice activity detectors (FSMN)", _recognise)
