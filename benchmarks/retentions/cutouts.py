"""Things cut out of photographs before others, with where they are: for what finds the foreground.

Prepared as U-2-Net's own code does it: over the largest value, normalised as for ImageNet.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..quantizations.crops import Sample, cut, side_of, with_thing
from ..quantizations.photos import scenes, things

_SEED = 415
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
Mask = NDArray[np.bool_]


def cutouts(role: str, count: int, work: Path, size: int) -> Iterator[Sample]:
    """Yield ``count`` pictures (3, size, size); ``text`` is the mask, see ``mask_of``."""
    rng = np.random.default_rng([_SEED, role == "test"])
    photos, objects = side_of(scenes(work), role), side_of(things(work), role)
    for index in range(count):
        scene = photos[int(rng.integers(len(photos)))]
        behind = cut(scene, None, size, rng)
        picture, mask = with_thing(behind, objects[index % len(objects)], rng)
        yield Sample(_prepared(picture), scene.name, text_of(np.asarray(mask) > 127))


def text_of(mask: Mask) -> str:
    """Return a mask as text.

    >>> mask = np.array([[True, False], [False, True]])
    >>> mask_of(text_of(mask), (2, 2)).tolist()
    [[True, False], [False, True]]
    """
    return base64.b64encode(zlib.compress(np.packbits(mask).tobytes())).decode()


def mask_of(text: str, shape: tuple[int, ...]) -> Mask:
    """Return the mask (height, width) that a text stands for."""
    bits = np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8)
    return np.unpackbits(bits, count=int(np.prod(shape))).reshape(shape).astype(bool)


def _prepared(picture: Any) -> NDArray[np.float32]:
    pixels = np.asarray(picture, np.float32)
    scaled = (pixels / max(float(pixels.max()), 1.0) - _MEAN) / _STD
    return np.ascontiguousarray(scaled.transpose(2, 0, 1), np.float32)
