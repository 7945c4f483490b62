"""Seeded samples in the domain of each model: drawn pictures, written text, tones, bytes."""

from __future__ import annotations

import string
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .models import Input, Model

Array = NDArray[Any]
Rng = np.random.Generator
_RATE = 16000
_BYTES, _PADDING = 256, 256  # magika: values of a byte, and what stands after the end of the file


def samples_of(model: Model, count: int, seed: int) -> dict[str, Array]:
    """Return input name -> array (count, *shape) of a model; equal seeds give equal samples."""
    rng = np.random.default_rng(seed)
    return {
        described.name: np.stack([_sample(described, rng) for _ in range(count)])
        for described in model.inputs
    }


def _sample(described: Input, rng: Rng) -> Array:
    """Return one sample, without the batch axis where that is 1: (C, H, W), (H, W, C), (N,)."""
    shape = described.shape[1:] if described.shape[:1] == (1,) else described.shape
    if described.kind in _PICTURES:
        return _normalised(described, shape, rng)
    return _NUMBERS[described.kind](shape, rng)


def _normalised(described: Input, shape: tuple[int, ...], rng: Rng) -> Array:
    first = shape[0] in (1, 3)
    channels, height, width = shape if first else (shape[2], *shape[:2])
    pixels = _PICTURES[described.kind](height, width, rng)[..., :channels]
    mean, std = np.asarray(described.mean, np.float32), np.asarray(described.std, np.float32)
    scaled = (pixels - mean) / std
    return np.ascontiguousarray(scaled.transpose(2, 0, 1) if first else scaled, np.float32)


def _photo(height: int, width: int, rng: Rng) -> Array:
    """Return smooth colours, a few shapes with edges, and grain: (H, W, 3) in 0..255."""
    from PIL import Image, ImageDraw

    coarse = rng.integers(0, 256, (5, 5, 3)).astype(np.uint8)
    image = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(3, 9))):
        x, y = rng.integers(0, width), rng.integers(0, height)
        w, h = rng.integers(4, 1 + width // 2), rng.integers(4, 1 + height // 2)
        colour = tuple(int(value) for value in rng.integers(0, 256, 3))
        shape = draw.ellipse if rng.random() < 0.6 else draw.rectangle
        shape([int(x - w // 2), int(y - h // 2), int(x + w // 2), int(y + h // 2)], fill=colour)
    grain = rng.normal(0, 6, (height, width, 3))
    return np.clip(np.asarray(image, np.float32) + grain, 0, 255).astype(np.float32)


def _text(height: int, width: int, rng: Rng) -> Array:
    """Return one line of letters and digits on paper: (H, W, 3) in 0..255."""
    return _written(height, width, rng, lines=1)


def _page(height: int, width: int, rng: Rng) -> Array:
    """Return lines of text in several sizes: (H, W, 3) in 0..255."""
    return _written(height, width, rng, lines=int(rng.integers(4, 9)))


def _written(height: int, width: int, rng: Rng, lines: int) -> Array:
    from PIL import Image, ImageDraw, ImageFont

    paper = tuple(int(value) for value in rng.integers(190, 256, 3))
    image = Image.new("RGB", (width, height), paper)
    draw = ImageDraw.Draw(image)
    for line in range(lines):
        size = height / lines * rng.uniform(0.5, 0.8)
        font = ImageFont.load_default(max(8, size))
        letters = rng.choice(list(string.ascii_letters + string.digits + " "), 40)
        fits = 1 + int(width / (0.62 * max(8, size)))
        ink = tuple(int(value) for value in rng.integers(0, 110, 3))
        at = (width * rng.uniform(0.01, 0.08), height * (line + 0.08) / lines)
        draw.text(at, "".join(letters[: max(3, int(fits * 0.85))]), ink, font)
    grain = rng.normal(0, 4, (height, width, 3))
    return np.clip(np.asarray(image, np.float32) + grain, 0, 255).astype(np.float32)


def _audio(shape: tuple[int, ...], rng: Rng) -> Array:
    """Return a few harmonics of a note and some noise, within -1..1."""
    time = np.arange(int(np.prod(shape))) / _RATE
    note = rng.uniform(90, 600)
    tones = sum(
        rng.uniform(0, 0.4) / k * np.sin(2 * np.pi * note * k * time + rng.uniform(0, 6))
        for k in range(1, 6)
    )
    sound: Array = np.clip(tones + rng.normal(0, 0.02, time.size), -1, 1)
    return sound.astype(np.float32).reshape(shape)


def _bytes(shape: tuple[int, ...], rng: Rng) -> Array:
    """Return the beginning and the end of a file of text or of anything, padded when short."""
    tokens = np.full(shape, _PADDING, np.int32)
    half = shape[0] // 2
    length = int(rng.integers(half // 8, half + 1))
    low, high = (32, 127) if rng.random() < 0.5 else (0, _BYTES)
    tokens[:length] = rng.integers(low, high, length)
    tokens[-length:] = rng.integers(low, high, length)
    return tokens


def _letters(shape: tuple[int, ...], rng: Rng) -> Array:
    """Return a word of 4 to 20 letters of an alphabet of 48, then padding."""
    word = np.zeros(shape, np.int32)
    length = int(rng.integers(4, 21))
    word[:length] = rng.integers(1, 49, length)
    return word


_PICTURES: dict[str, Callable[[int, int, Rng], Array]] = {
    "photo": _photo,
    "page": _page,
    "text": _text,
}
_NUMBERS: dict[str, Callable[[tuple[int, ...], Rng], Array]] = {
    "audio": _audio,
    "bytes": _bytes,
    "letters": _letters,
    "normal": lambda shape, rng: rng.normal(size=shape).astype(np.float32),
    "state": lambda shape, rng: rng.normal(0, 0.2, shape).astype(np.float32),
    "unit": lambda shape, rng: rng.uniform(0, 1, shape).astype(np.float32),
    "rate": lambda shape, rng: np.full(shape, _RATE, np.int64),
}
