"""Objects in text files as YOLO has them, one file an image: boxes, keypoints, outlines.

A line is a class and numbers, all places as shares of the image: centre, width and height of a
box; those and keypoints; four corners; or an outline. A line does not say which it is, so the first
files of a set do: Ultralytics, dataset formats of the tasks detect, pose, OBB and segment.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.errors import SamplesError
from ..images.decode import image_size
from .boxes import FILLED, Boxes, make_boxes
from .instance_shapes import InstanceShape
from .label_texts import read_text
from .labels import ObjectKind

# of each line its place in the file, its class and numbers
Rows = list[tuple[int, int, list[float]]]
# far above any detector's; a larger number is no class
MOST_CLASSES = 1_000_000
# files that are looked at, and lines that are enough to tell keypoints from outlines
_LOOKED_AT, _FEW = 64, 3
# a visibility is at most 2, and a share near 1 even where an object is cut off
_MOST_VALUE = 2
_WORDS = "a line is a class, a whole number from 0 on, and finite numbers"
_LINE = "a line is class, x, y, width, height: the centre and size as shares of the image"


@dataclass(frozen=True)
class YoloFiles(Sequence[Any]):
    """The objects of each image; an image without a file shows nothing.

    ``numbers`` are those of a keypoint: 3 with its visibility, 2 without, 0 for none.
    """

    images: tuple[Path, ...]
    texts: tuple[Path, ...]
    numbers: int = 0

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: Any) -> Any:
        """Read the objects of one image in its pixels. Raises SamplesError with the line."""
        path = self.texts[index]
        rows = _rows(path, self.numbers) if path.is_file() else []
        size = image_size(self.images[index])
        return _posed(rows, size, self.numbers) if self.numbers else _outlined(rows, size)


def kind_of_files(texts: Sequence[Path]) -> tuple[ObjectKind, int]:
    """Return what the lines of a set are, by its first files, and the numbers of a keypoint.

    Lines of a box and keypoints have one length, and visibilities of 0, 1 or 2 or points within
    the box; lines of eight numbers are four corners; other lines of six or more are outlines.
    """
    rows = list(_first_rows(texts))
    lengths = {len(row) for row in rows}
    numbers = _keypoint_numbers(rows) if len(lengths) == 1 else 0
    if numbers:
        return "keypoints", numbers
    if lengths == {8}:
        return "rotated-boxes", 0
    return ("instance-masks" if lengths and 4 not in lengths else "boxes"), 0


def _first_rows(texts: Sequence[Path]) -> Iterator[list[float]]:
    """Give the numbers of every line of the first files; NaN for what is no number."""
    for path in islice((path for path in texts if path.is_file()), _LOOKED_AT):
        for _, words in _lines(path):
            if _fits(len(words) - 1, None):
                yield [_number(word) for word in words[1:]]


def _keypoint_numbers(rows: Sequence[list[float]]) -> int:
    table = np.array(rows)
    rest = table[:, 4:]
    if rest.shape[1] and rest.shape[1] % 3 == 0 and np.isin(rest[:, 2::3], (0, 1, 2)).all():
        return 3
    # six numbers may be a triangle, and eight are four corners
    if rest.shape[1] <= 4 or rest.shape[1] % 2 or len(table) < _FEW:
        return 0
    points = rest.reshape(len(table), -1, 2)
    far = np.abs(points - table[:, np.newaxis, :2]) > table[:, np.newaxis, 2:4] / 2 + 0.01
    return 0 if (far.any(axis=2) & (points > 0).all(axis=2)).any() else 2


def _rows(path: Path, numbers: int) -> Rows:
    """Return place, class and numbers of every line that is not empty."""
    return [(place, *_row(words, f"{path}:{place}", numbers)) for place, words in _lines(path)]


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Give the place and the words of every line that is not empty."""
    for place, line in enumerate(read_text(path).splitlines(), start=1):
        if words := line.split():
            yield place, words


def _row(words: Sequence[str], origin: str, numbers: int) -> tuple[int, list[float]]:
    """Return class and numbers of a line. Raises SamplesError."""
    if not _fits(len(words) - 1, numbers):
        raise SamplesError(f"{origin}: not a box: {' '.join(words)[:60]!r}", _LINE)
    label = _number(words[0])
    if not (0 <= label < MOST_CLASSES and label.is_integer()):
        raise SamplesError(f"{origin}: {words[0][:60]!r} is no class", _WORDS)
    values = [_number(word) for word in words[1:]]
    for word, value in zip(words[1:], values, strict=True):
        if not np.isfinite(value):
            raise SamplesError(f"{origin}: {word[:60]!r} is no number", _WORDS)
        if value > _MOST_VALUE:
            raise SamplesError(
                f"{origin}: {word[:60]} is no share of the image",
                "values are shares of 0..1: divide pixels by the image's width and height",
            )
    return int(label), values


def _number(word: str) -> float:
    try:
        return float(word)
    except ValueError:
        return math.nan


def _fits(count: int, numbers: int | None) -> bool:
    """Tell whether a line may hold so many numbers: a box, an outline, a box and keypoints."""
    outline = not numbers and count >= 4 and count % 2 == 0
    each = 3 if numbers is None else numbers
    return outline or (each > 0 and count >= 4 and (count - 4) % each == 0)


def _outlined(rows: Rows, size: tuple[int, int]) -> Boxes:
    """Return the objects of lines that are boxes or outlines; shapes where all are outlines."""
    pixels = np.array([size[1], size[0]])
    shapes = tuple(
        InstanceShape((_polygon(values) * pixels,), line=place) for place, _, values in rows
    )
    corners = np.array([shape.corners() for shape in shapes], np.float64).reshape(-1, 4)
    outlined = all(len(values) > 4 for *_, values in rows)
    return make_boxes(corners, _classes(rows), shapes=shapes if outlined else None)


def _polygon(values: list[float]) -> NDArray[np.float64]:
    """Return the points (P, 2) of an outline, or of a box's corners.

    >>> _polygon([0.5, 0.5, 0.25, 0.5])[[0, 2]].tolist()
    [[0.375, 0.25], [0.625, 0.75]]
    """
    if len(values) > 4:
        return np.array(values).reshape(-1, 2)
    x, y, width, height = values
    left, top, right, bottom = x - width / 2, y - height / 2, x + width / 2, y + height / 2
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]])


def _posed(rows: Rows, size: tuple[int, int], numbers: int) -> Boxes:
    """Return the objects of lines that are a box and keypoints."""
    pixels = np.array([size[1], size[0]])
    corners = [_polygon(values[:4])[[0, 2]] * pixels for *_, values in rows]
    boxes = make_boxes(np.array(corners, np.float64).reshape(-1, 4), _classes(rows))
    count = max((len(values) - 4 for *_, values in rows), default=0)
    points = np.zeros((len(rows), count // numbers, numbers))
    for row, (*_, values) in zip(points, rows, strict=True):
        row.ravel()[: len(values) - 4] = values[4:]
    inside = (points > 0).any(axis=2) & (points >= 0).all(axis=2)
    visible = points[..., 2] if numbers == 3 else inside
    keypoints = np.concatenate([points[..., :2] * pixels, visible[..., np.newaxis]], axis=2)
    return make_boxes(boxes.corners, boxes.classes, areas=boxes.areas * FILLED, keypoints=keypoints)


def _classes(rows: Rows) -> NDArray[np.int64]:
    return np.array([label for _, label, _ in rows], np.int64)
