"""Photographs for the detector, each with something on it that the float model finds."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from rockpress.accuracy.metrics.average_precision import OWN_SCORE
from rockpress.core.session import Session
from rockpress.pipeline.options.sample_options import ModelOptions
from rockpress.pipeline.samples.ready_model import ready_model

from ..conversions.packages import model_file
from ..detectors.frames import SIZE, detected, frames_of
from ..quantizations.crops import Sample
from ..quantizations.detector import DETECTOR
from ..quantizations.gcompris import gcompris_photographs
from ..quantizations.photos import scenes


def frames(role: str, count: int, work: Path) -> Iterator[Sample]:
    """Yield ``count`` frames (3, 320, 320) in 0..1; for calibration also those that show nothing.

    ``source`` is the photograph's name. They are cut from the same photographs as the crops for
    the classifiers, so that many of them have a part in the figure.
    """
    backgrounds = [*scenes(work), *gcompris_photographs(work)]
    file = model_file(DETECTOR, work)
    session = Session(ready_model(file, ModelOptions(size=(SIZE, SIZE))).model)
    chosen = (
        frame
        for frame in frames_of(role, work, backgrounds)
        if role == "calib" or len(detected(session, frame.picture).above(OWN_SCORE))
    )
    for frame in islice(chosen, count):
        pixels = np.asarray(frame.picture, np.float32).transpose(2, 0, 1) / 255
        yield Sample(np.ascontiguousarray(pixels), frame.source)
