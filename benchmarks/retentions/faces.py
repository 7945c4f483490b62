"""Faces and what is none, with labels: the 200 pictures of scikit-image's ``lfw_subset``.

100 faces of Labeled Faces in the Wild and 100 pieces of background, 25 x 25 pixels, grey. Three in
ten of each are for calibration. Prepared as MTCNN does it: (pixel - 127.5) / 128, rows and columns
swapped, channels last.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..quantizations.crops import Sample
from ..quantizations.photos import scenes

_FILE = "skimage/data/lfw_subset.npy"
_SEED = 25
_FACES = 100  # come first
_CALIBRATION = 30  # of the faces, and of the others


def faces(role: str, count: int, work: Path, size: int) -> Iterator[Sample]:
    """Yield ``count`` samples (size, size, 3), every second a face; ``text`` is 1 for a face.

    Once all pictures of the role were there they come again mirrored, with the same source.
    """
    pictures = _pictures(work)
    rng = np.random.default_rng(_SEED)
    sides = [rng.permutation(_FACES), _FACES + rng.permutation(len(pictures) - _FACES)]
    chosen = [side[:_CALIBRATION] if role == "calib" else side[_CALIBRATION:] for side in sides]
    for index in range(count):
        side, turn = chosen[index % 2], index // 2
        number = int(side[turn % len(side)])
        picture = pictures[number]
        mirrored = picture[:, ::-1] if (turn // len(side)) % 2 else picture
        yield Sample(_prepared(mirrored, size), f"lfw {number}", str(int(number < _FACES)))


def _pictures(work: Path) -> Any:
    """Return (200, 25, 25) in 0..1, out of the wheel that the photographs are fetched from."""
    scenes(work)
    wheel = next((work / "photos").glob("scikit_image-*.whl"))
    with zipfile.ZipFile(wheel) as archive:
        return np.load(io.BytesIO(archive.read(_FILE)), allow_pickle=False)


def _prepared(picture: Any, size: int) -> Any:
    from PIL import Image

    grey = Image.fromarray((picture * 255).astype(np.uint8))
    resized = grey.resize((size, size), Image.Resampling.BICUBIC)
    scaled = (np.asarray(resized, np.float32).T - 127.5) / 128
    return np.repeat(scaled[..., np.newaxis], 3, axis=2).astype(np.float32)
