"""Rendered lines of text with what they say, for a text recogniser and a direction classifier.

Prepared as PaddleOCR does it: scaled to the input's height, mid-grey to the right of a short line,
(pixel - 127.5) / 127.5. A text belongs to the calibration or to the test, by its checksum.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .crops import Sample

_SEED = 511
_WORDS = (
    "account address amount batch before bridge cable carton centre change circuit closed code "
    "contents copper customer date deliver depth double east empty exit fragile garden glass "
    "ground handle harbour heavy inside invoice island item January June keep label left level "
    "liquid lower machine market March metre motor mountain never night north November number "
    "office open order parcel period phone plant platform port power price quarter quick remove "
    "river road safety seal second service shelf signal silver south square station steel street "
    "supply switch table terminal total train under upper valley vessel warning water weight "
    "Wednesday west window winter yellow zone Madrid Oslo Quito Turin Vienna Zagreb"
).split()
_SIGNS = ("%", "-", ".", ":", "/", "+", "#", "&")


def lines(
    role: str, count: int, height: int, width: int, *, is_turned: bool = False
) -> Iterator[Sample]:
    """Yield ``count`` lines for an input of a size, every second upside down if ``is_turned``."""
    rng = np.random.default_rng([_SEED, width, role == "test"])
    for index in range(count):
        text, image = _line(rng, role, width / height)
        if is_turned and index % 2:
            image = image.rotate(180)
        yield Sample(_prepared(image, height, width), f"line {index}", text)


def _line(rng: np.random.Generator, role: str, widest: float) -> tuple[str, Any]:
    """Return a text of the role that fits, and its picture."""
    while True:
        text = " ".join(_word(rng) for _ in range(int(rng.integers(1, 4))))
        image = _drawn(text, rng)
        is_calibration = zlib.crc32(text.encode()) % 3 == 0
        if is_calibration == (role == "calib") and image.width / image.height <= widest:
            return text, image


def drawn_line(rng: np.random.Generator) -> Any:
    """Return the picture of one to three words."""
    return _drawn(" ".join(_word(rng) for _ in range(int(rng.integers(1, 4)))), rng)


def _word(rng: np.random.Generator) -> str:
    kind = rng.random()
    if kind < 0.65:
        word = str(rng.choice(_WORDS))
        return word.upper() if rng.random() < 0.2 else word
    number = str(rng.integers(10 ** int(rng.integers(1, 6))))
    if kind < 0.8:
        return number
    return f"{number}{rng.choice(_SIGNS)}{rng.integers(100)}"


def _drawn(text: str, rng: np.random.Generator) -> Any:
    """Return dark on light or light on dark, with margins, noise and a little blur."""
    from PIL import Image, ImageDraw, ImageFilter, ImageFont

    font = ImageFont.load_default(size=float(rng.uniform(18, 44)))
    left, top, right, bottom = font.getbbox(text)
    margin = rng.integers(2, 8, 4)
    size = int(right - left + margin[0] + margin[1]), int(bottom - top + margin[2] + margin[3])
    tones = [rng.integers(150, 256, 3), rng.integers(0, 90, 3)]
    paper, ink = tones if rng.random() < 0.8 else tones[::-1]
    image = Image.new("RGB", size, tuple(int(channel) for channel in paper))
    at = int(margin[0] - left), int(margin[2] - top)
    ImageDraw.Draw(image).text(at, text, tuple(int(channel) for channel in ink), font)
    image = image.filter(ImageFilter.GaussianBlur(float(rng.uniform(0, 0.8))))
    noise = rng.normal(0, rng.uniform(0, 8), (*size[::-1], 3))
    return Image.fromarray(np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8))


def _prepared(image: Any, height: int, width: int) -> NDArray[np.float32]:
    from PIL import Image

    wide = min(width, int(np.ceil(height * image.width / image.height)))
    pixels = np.asarray(image.resize((wide, height), Image.Resampling.BILINEAR), np.float32)
    prepared = np.zeros((3, height, width), np.float32)
    prepared[:, :, :wide] = pixels.transpose(2, 0, 1) / 127.5 - 1
    return prepared
