"""Samples of tests: pixels that are noise, the files that hold samples, and those refused."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from rockpress.calibration_data.sources.open_source import open_source
from rockpress.core.errors import SamplesError

Array = NDArray[Any]
Pixels = NDArray[np.uint8]


def pixels(*shape: int, seed: int | np.random.Generator = 0) -> Pixels:
    """Return noise of this shape, such as (height, width, channels)."""
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def frames_with_objects(count: int, seed: int) -> list[dict[str, Array]]:
    """Return noise, and in every fourth sample a few pixels where both channels are large."""
    random = np.random.default_rng(seed)
    frames = random.standard_normal((count, 2, 16, 16)).astype(np.float32)
    for frame in frames[::4]:
        frame[:, random.integers(16, size=4), random.integers(16, size=4)] += 7
    return [{"x": frame[None]} for frame in frames]


def save_images(folder: Path, images: Iterable[Array]) -> Path:
    """Write images as 0.png, 1.png ... into a folder that is made; return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for index, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{index}.png")
    return folder


def noise_images(folder: Path, count: int, seed: int = 0) -> Path:
    """Write ``count`` PNG images of 40x36 pixels into a folder; return the folder."""
    random = np.random.default_rng(seed)
    return save_images(folder, (pixels(40, 36, 3, seed=random) for _ in range(count)))


def labelled_images(folder: Path, classes: Sequence[str], count: int) -> Path:
    """Write a folder for each class with ``count`` images in each; return the folder of all."""
    for seed, name in enumerate(classes):
        noise_images(folder / name, count, seed)
    return folder


def save_feeds(path: Path, feeds: Sequence[dict[str, Array]], **arrays: Array) -> Path:
    """Write samples (1, ...) as one array (N, ...) for each input, and what is beside them."""
    joined = {name: np.concatenate([sample[name] for sample in feeds]) for name in feeds[0]}
    np.savez(path, **joined, **arrays)
    return path


def refused(path: Path) -> SamplesError:
    """Return the error of samples that cannot be opened, which names them and has a hint."""
    with pytest.raises(SamplesError) as caught:
        open_source(path)
    assert str(path) in caught.value.message
    assert caught.value.hint
    return caught.value
