"""Labels in files of their own, one a sample, read when one is asked for: boxes and masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...core.errors import SamplesError
from ..images.decode import image_size, read_mask
from .boxes import Boxes, make_boxes
from .label_texts import read_text

# far above any detector's; a larger number is no class
MOST_CLASSES = 1_000_000


@dataclass(frozen=True)
class MaskFiles(Sequence[Any]):
    """Masks (H, W) of class indices in PNG files; 255 is no class."""

    paths: tuple[Path, ...]

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: Any) -> Any:
        """Read the mask of one sample. Raises SamplesError when the file cannot be read."""
        return read_mask(self.paths[index])


@dataclass(frozen=True)
class YoloFiles(Sequence[Any]):
    """The boxes of each image; an image without a file shows nothing.

    A line is class, centre, width and height, or an outline, as shares of the image.
    """

    images: tuple[Path, ...]
    texts: tuple[Path, ...]

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: Any) -> Any:
        """Read the boxes of one image in its pixels. Raises SamplesError with the line."""
        path = self.texts[index]
        rows = _rows(path) if path.is_file() else []
        return _boxes(rows, image_size(self.images[index]))


def _rows(path: Path) -> list[tuple[int, list[float]]]:
    """Return class and numbers of every line that is not empty."""
    rows = []
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        words = line.split()
        if not words:
            continue
        try:
            values = [float(word) for word in words]
            label = int(words[0])
        except ValueError:
            values, label = [], -1
        # four numbers are a box, an even number from six on is an outline
        if (
            not 0 <= label < MOST_CLASSES
            or len(values) < 5
            or len(values) % 2 == 0
            or not np.isfinite(values).all()
        ):
            raise SamplesError(
                f"{path}:{number}: not a box: {line[:60]!r}",
                "a line is class, x, y, width, height: the centre and size as shares of the image",
            )
        rows.append((label, values[1:]))
    return rows


def _boxes(rows: list[tuple[int, list[float]]], size: tuple[int, int]) -> Boxes:
    height, width = size
    corners = np.array([_corners(values) for _, values in rows], np.float64).reshape(-1, 4)
    classes = np.array([label for label, _ in rows], np.int64)
    return make_boxes(corners * (width, height, width, height), classes)


def _corners(values: list[float]) -> tuple[float, float, float, float]:
    """Return the corners of a box, or around an outline, as shares of the image.

    >>> _corners([0.5, 0.5, 0.25, 0.5])
    (0.375, 0.25, 0.625, 0.75)
    """
    if len(values) == 4:
        x, y, width, height = values
        return x - width / 2, y - height / 2, x + width / 2, y + height / 2
    return min(values[::2]), min(values[1::2]), max(values[::2]), max(values[1::2])
