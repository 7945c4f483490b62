"""Crops of photographs for an image classifier, the calibration's and the test's of other photos.

Two in five are crops of a scene, the others have a thing before such a crop. Every photograph
belongs to one side alone, so no test crop shares a pixel's source with a calibration crop.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .photos import Photo, scenes, things

SIZE = 224
MEAN, STD = 127.0, 128.0  # the same as EfficientNet-Lite was trained with
_SEED = 20240
_CALIBRATION_SHARE = 1 / 3
_PERIOD, _BARE = 5, 2  # of five crops two show the scene alone


@dataclass(frozen=True)
class Sample:
    """One prepared input (C, H, W); ``source`` is what other samples may have in common with it."""

    values: NDArray[np.float32]
    source: str
    text: str = ""


def crops(
    role: str, count: int, work: Path, size: int = SIZE, mean: float = MEAN, std: float = STD
) -> Iterator[Sample]:
    """Yield ``count`` crops of the photographs of a role, calib or test.

    The first ones are always the same, however many are asked for.
    """
    rng = np.random.default_rng([_SEED, role == "test"])
    photos, objects = side_of(scenes(work), role), side_of(things(work), role)
    for index in range(count):
        scene = photos[int(rng.integers(len(photos)))]
        thing = objects[index % len(objects)] if index % _PERIOD >= _BARE else None
        picture = cut(scene, thing, size, rng)
        yield Sample(prepared(picture, mean, std), scene.name)


def side_of(photos: Sequence[Photo], role: str) -> list[Photo]:
    """Return the photographs of one side, shuffled."""
    order = np.random.default_rng(_SEED).permutation(len(photos))
    edge = round(len(photos) * _CALIBRATION_SHARE)
    chosen = order[edge:] if role == "test" else order[:edge]
    return [photos[int(index)] for index in chosen]


def cut(scene: Photo, thing: Photo | None, size: int, rng: np.random.Generator) -> Any:
    """Return a crop of a scene at this size, with a thing before it if there is one."""
    picture = _crop(_opened(scene), size, rng)
    return picture if thing is None else with_thing(picture, thing, rng)[0]


@cache
def _opened(photo: Photo) -> Any:
    return photo.scene()


def _crop(image: Any, out: int, rng: np.random.Generator) -> Any:
    from PIL import Image

    width, height = image.size
    side = int(min(image.size) * rng.uniform(0.5, 1))
    left, top = int(rng.integers(width - side + 1)), int(rng.integers(height - side + 1))
    box = (left, top, left + side, top + side)
    return image.resize((out, out), Image.Resampling.BICUBIC, box=box)


def with_thing(picture: Any, photo: Photo, rng: np.random.Generator) -> tuple[Any, Any]:
    """Return a picture with a thing before it, and where the thing is: 0 to 255, one channel."""
    from PIL import Image

    thing = photo.thing()
    scale = rng.uniform(0.6, 0.95) * picture.width / max(thing.size)
    size = [max(1, round(side * scale)) for side in thing.size]
    thing = thing.resize(size, Image.Resampling.BICUBIC)
    left, top = (int(rng.integers(picture.width - side + 1)) for side in size)
    picture.paste(thing, (left, top), thing)
    mask = Image.new("L", picture.size)
    mask.paste(thing.getchannel("A"), (left, top))
    return picture, mask


def prepared(picture: Any, mean: float = MEAN, std: float = STD) -> NDArray[np.float32]:
    """Return a picture as an input (3, height, width), normalised."""
    pixels = np.asarray(picture, np.float32).transpose(2, 0, 1)
    return np.ascontiguousarray((pixels - mean) / std, np.float32)
