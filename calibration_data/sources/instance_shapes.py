"""The area of one object: polygons, or a mask as COCO's run lengths."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..images.geometry import ImagePlacement, Size

Points = NDArray[np.float64]
Mask = NDArray[np.uint8]

# what faster-coco-eval calls an encoded mask: size and counts
Encoded = Mapping[str, Any]
# a mask of more pixels than an image may have
_MOST_PIXELS = 64_000_000


@dataclass(frozen=True, eq=False)
class InstanceShape:
    """The area of one object in pixels: all of its polygons (P, 2), x and y, or a mask.

    ``runs`` are the lengths of a mask's runs, column by column, zeros first; ``size`` (height,
    width) is that of the mask, and (0, 0) for polygons. ``line`` is where a text file has it.
    """

    polygons: tuple[Points, ...] = ()
    runs: NDArray[np.int64] | None = None
    size: Size = (0, 0)
    line: int = 0

    def placed(self, placement: ImagePlacement) -> InstanceShape:
        """Return the shape where a resized image has it."""
        if self.runs is not None:
            return _shape_of(placement.mask(_mask_of(self.runs, self.size), outside=0))
        scale, shift = np.array(placement.scale[::-1]), np.array(placement.corner[::-1])
        polygons = tuple(points * scale + shift for points in self.polygons)
        return InstanceShape(polygons, line=self.line)

    def encoded(self, size: Size) -> Encoded:
        """Return the shape as an encoded mask of a height and width, drawn as COCO draws it."""
        from faster_coco_eval import mask

        height, width = size
        if self.runs is not None:
            return encode(_mask_of(self.runs, self.size))
        # a point far outside would be walked to pixel by pixel
        far = 4 * max(height, width)
        drawn = [np.clip(points, -far, far).ravel().tolist() for points in self.polygons]
        if not drawn:
            return encode(np.zeros(size, np.uint8))
        merged: Encoded = mask.merge(mask.frPyObjects(drawn, height, width))
        return merged

    def corners(self) -> tuple[float, float, float, float]:
        """Return x1, y1, x2, y2 around the polygons."""
        points = np.concatenate(self.polygons)
        (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
        return float(left), float(top), float(right), float(bottom)

    def digest(self) -> bytes:
        """Return the SHA-256 of the numbers."""
        digest = hashlib.sha256(repr((self.size, [len(each) for each in self.polygons])).encode())
        for part in (*self.polygons, *(() if self.runs is None else (self.runs,))):
            digest.update(np.ascontiguousarray(part).tobytes())
        return digest.digest()


def encode(mask: Mask) -> Encoded:
    """Return a mask (H, W) of zeros and ones encoded, as faster-coco-eval reads it."""
    from faster_coco_eval import mask as coco_masks

    encoded: Encoded = coco_masks.encode(np.asfortranarray(mask, np.uint8))
    return encoded


def shape_of_segmentation(segmentation: Any) -> InstanceShape:
    """Return the shape of a COCO annotation: a list of polygons, or run lengths with their size.

    Raises ValueError, TypeError or KeyError for what is neither.

    >>> shape_of_segmentation([[0, 0, 4, 0, 4, 2]]).corners()
    (0.0, 0.0, 4.0, 2.0)
    """
    if isinstance(segmentation, Mapping):
        height, width = (int(length) for length in segmentation["size"])
        counts = segmentation["counts"]
        lengths = uncompressed(counts) if isinstance(counts, str) else counts
        runs = np.array(lengths, np.int64)
        if min(height, width, *lengths) < 0 or not 0 < height * width <= _MOST_PIXELS:
            raise ValueError(f"a mask of {height}x{width} pixels")
        if runs.sum() != height * width:
            raise ValueError("the runs of a mask do not fill it")
        return InstanceShape(runs=runs, size=(height, width))
    polygons = [np.array(numbers, np.float64).reshape(-1, 2) for numbers in segmentation]
    if not all(np.isfinite(points).all() for points in polygons):
        raise ValueError("a polygon is not finite")
    return InstanceShape(tuple(points for points in polygons if len(points) > 2))


def uncompressed(text: str) -> list[int]:
    """Return the run lengths of COCO's compressed text: five bits a letter, from the third one on
    as the difference to the run before the last.

    Raises ValueError for a text that is cut off.

    >>> uncompressed("52203")
    [5, 2, 2, 2, 5]
    """
    runs: list[int] = []
    value = shift = 0
    for letter in text:
        bits = ord(letter) - 48
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value = shift = 0
    if shift:
        raise ValueError("the runs of a mask are cut off")
    return runs


def _mask_of(runs: NDArray[np.int64], size: Size) -> Mask:
    values = np.repeat(np.arange(len(runs)) % 2, runs).astype(np.uint8)
    return values.reshape(size, order="F")


def _shape_of(mask: Mask) -> InstanceShape:
    """Return a mask (H, W) of zeros and ones as runs."""
    flat = mask.ravel(order="F")
    changes: Sequence[int] = (np.flatnonzero(np.diff(flat)) + 1).tolist()
    ends = [*([0] if flat[0] else []), *changes, len(flat)]
    lengths = [end - start for start, end in pairwise([0, *ends])]
    return InstanceShape(runs=np.array(lengths, np.int64), size=(mask.shape[0], mask.shape[1]))
