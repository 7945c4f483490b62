"""Calibration samples apart from those that a choice among models is made by."""

from __future__ import annotations

from ...calibration_data.samples import Samples

# samples to compare the methods of quantization on; with fewer than two the difference is chance
_LEAST_HELD_OUT, _MOST_HELD_OUT = 2, 24
# a label says less than an output does: of 24 samples it takes four that flip to tell
_MOST_LABELLED = 96


def held_out(calib: Samples, seed: int) -> tuple[Samples, Samples | None]:
    """Return the samples to learn from, and those to choose by: a fifth, if there are enough."""
    most = _MOST_HELD_OUT if calib.labels is None else _MOST_LABELLED
    count = min(len(calib) // 5, most)
    if count < _LEAST_HELD_OUT:
        return calib.grouped(), None
    learning, held = calib.split(count, seed)
    return learning.grouped(), held
