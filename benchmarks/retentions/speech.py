"""Spoken English in pairs of windows: the sentences of a telephone exchange, by one speaker.

They are Debian's asterisk-core-sounds-en-wav (CC-BY-SA-3.0). Two windows that are 40 ms apart
make a pair, and the pair is the label of both: the nearest vector should be that of the other. A
recording belongs to the calibration or to the test. Prepared as openWakeWord does it.
"""

from __future__ import annotations

import wave
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rockpress.core.session import Session

from ..conversions.more_models import MEL
from ..conversions.packages import model_file
from ..quantizations.crops import Sample
from ..quantizations.photos import debian_folder

_PACKAGE, _FOLDER = "asterisk-core-sounds-en-wav", "usr/share/asterisk/sounds"
_SEED = 776
_CALIBRATION_SHARE = 1 / 3
_FRAMES, _SHIFT = 76, 4  # of 10 ms: a window, and from the first of a pair to the second
_SCALE, _OFFSET = 10, 2  # of the spectrogram


def speech(role: str, count: int, work: Path) -> Iterator[Sample]:
    """Yield ``count`` windows (76, 32, 1), those of a pair one after the other."""
    from rockpress.core.graphs.model import load_model

    session = Session(load_model(model_file(MEL, work)))
    return islice(_windows(_recordings(role, work), session), count)


def _recordings(role: str, work: Path) -> list[Path]:
    root = debian_folder(_PACKAGE, work / "speech") / _FOLDER
    files = sorted(root.rglob("*.wav"))
    order = np.random.default_rng(_SEED).permutation(len(files))
    edge = round(len(files) * _CALIBRATION_SHARE)
    return [files[int(index)] for index in (order[edge:] if role == "test" else order[:edge])]


def _windows(files: list[Path], session: Session) -> Iterator[Sample]:
    for file in files:
        frames = _spectrogram(_sound(file), session)
        for start in range(0, len(frames) - _FRAMES - _SHIFT + 1, _FRAMES + _SHIFT):
            for first in (start, start + _SHIFT):
                window = frames[first : first + _FRAMES, :, np.newaxis]
                yield Sample(np.ascontiguousarray(window), file.stem, f"{file.stem} {start}")


def _sound(file: Path) -> NDArray[np.float32]:
    """Return a recording of 8 kHz at 16 kHz, in the scale of 16-bit numbers."""
    with wave.open(str(file)) as stored:
        samples = np.frombuffer(stored.readframes(stored.getnframes()), "<i2").astype(np.float32)
    places = np.arange(2 * len(samples)) / 2
    return np.interp(places, np.arange(len(samples)), samples).astype(np.float32)


def _spectrogram(sound: NDArray[np.float32], session: Session) -> NDArray[np.float32]:
    """Return (frames, 32)."""
    (values,) = session.run({session.input_names[0]: sound[np.newaxis]})
    frames: NDArray[np.float32] = values.reshape(-1, values.shape[-1]) / _SCALE + _OFFSET
    return frames
