"""Calibration samples apart from those that a choice among models is made by."""

from __future__ import annotations

from ...calibration_data.samples import Samples
from ...core.diagnostics import option
from ...core.errors import OptionError

_SHARE = 5
# samples to compare the methods of quantization on; with fewer than two the difference is chance
_LEAST_HELD_OUT, _MOST_HELD_OUT = 2, 24
# a label says less than an output does: of 24 samples it takes four that flip to tell
_MOST_LABELLED = 96
# they say which of the states of a training is taken
_LEAST_TRAINED, _MOST_TRAINED = 8, 96


def held_out(calib: Samples, seed: int, *, trains: bool = False) -> tuple[Samples, Samples | None]:
    """Return the samples to learn from, and those to choose by: a fifth, if there are enough.

    Raises OptionError where there are too few to train.
    """
    most = _MOST_HELD_OUT if calib.labels is None else _MOST_LABELLED
    count = min(len(calib) // _SHARE, _MOST_TRAINED if trains else most)
    if trains and count < _LEAST_TRAINED:
        raise OptionError(
            f"{option('train', 'distill')} needs at least {_SHARE * _LEAST_TRAINED} calibration "
            f"samples, to hold a fifth of them out; there are {len(calib)}",
            f"give more with {option('calib')} and {option('calib-count')}",
        )
    if count < _LEAST_HELD_OUT:
        return calib.grouped(), None
    learning, held = calib.split(count, seed)
    return learning.grouped(), held
