"""Samples in a .npy or .npz file, and their labels: what an array is, its type and shape say."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...core.errors import SamplesError
from ...core.types import Array
from .array_files import LABELS, read_npy, read_npz
from .boxes import make_boxes
from .labels import Labels
from .source_types import ImageArray, Source, TensorArrays

# ImageNet has 1.3 million; what is known of each takes some bytes
MAX_SAMPLES = 20_000_000
_CHANNELS = (1, 3, 4)
# what nobody calls an input of a model; "" is the array of a .npy
_IMAGES = ("images", "")
# a name that no model's input has
BOXES = "label_boxes"
_FORMS = (
    "labels are non-negative integers (N,): classes; integers (N, H, W): masks; floats (N,) or "
    "numbers (N, D); or texts (N,)"
)


def open_npy(path: Path) -> Source:
    """Open one array (N, ...), mapped: uint8 ones are images, other types are tensors."""
    arrays = {"": read_npy(path)}
    _sample_count(arrays, path)
    return _source(arrays, None, path)


def open_npz(path: Path) -> Source:
    """Open ``images`` or one array for each model input, and ``labels`` or ``label_boxes`` if any.

    A single array of uint8 (N, H, W), (N, H, W, C) or (N, C, H, W) is images. Raises SamplesError
    when the arrays hold different numbers of samples, when ``images`` do not look like some, or
    when the labels are none that a task has.
    """
    arrays = read_npz(path)
    labels, boxes = arrays.pop(LABELS, None), arrays.pop(BOXES, None)
    if not arrays:
        raise SamplesError(
            f"{path}: holds no samples", "save the array images, or one array a model input"
        )
    count = _sample_count(arrays, path)
    checked = None if labels is None else labels_of(labels, count, path)
    if boxes is not None:
        checked = boxes_of(boxes, count, path)
    return _source(arrays, checked, path)


def _source(arrays: dict[str, Array], checked: Labels | None, path: Path) -> Source:
    name, array = next(iter(arrays.items()))
    if len(arrays) > 1 or array.dtype != np.uint8:
        return TensorArrays(path, arrays, checked)
    if array.ndim == 4 and array.shape[3] not in _CHANNELS and array.shape[1] in (1, 3):
        array = np.moveaxis(array, 1, 3)
    if not _are_images(array.shape):
        if name in _IMAGES:
            raise SamplesError(
                f"{path}: uint8 of shape {array.shape} is not a set of images",
                "save images as (N, H, W), (N, H, W, C) or (N, C, H, W) with 1, 3 or 4 channels, "
                "tensors as float",
            )
        return TensorArrays(path, arrays, checked)
    return ImageArray(path, array, checked)


def _sample_count(arrays: dict[str, Array], path: Path) -> int:
    counts = {name: len(array) if array.ndim else 0 for name, array in arrays.items()}
    if 0 in counts.values():
        raise SamplesError(f"{path}: an array is a single number", "save arrays (N, ...)")
    if len(set(counts.values())) > 1:
        shown = ", ".join(f"{name} {count}" for name, count in counts.items())
        raise SamplesError(
            f"{path}: the arrays hold different numbers of samples: {shown}",
            "the first axis of every array is the sample",
        )
    count = next(iter(counts.values()))
    if count > MAX_SAMPLES:  # a file may be a thousand times smaller than what its header says
        raise SamplesError(
            f"{path}: {count:,} samples; the limit is {MAX_SAMPLES:,}",
            "the first axis of every array is the sample; save fewer",
        )
    return count


def _are_images(shape: tuple[int, ...]) -> bool:
    # (H, W, 3) of one image has three axes as well, and must not pass as H images of W x 3
    stack = len(shape) == 3 and shape[2] not in _CHANNELS
    return stack or (len(shape) == 4 and shape[3] in _CHANNELS)


def labels_of(labels: Array, count: int, path: Path) -> Labels:
    """Return the labels of ``count`` samples. Raises SamplesError for other arrays."""
    kind, axes = labels.dtype.kind, labels.ndim
    if not (
        (kind in "ui" and (axes in (1, 3) or (axes == 2 and labels.shape[1] > 1)))
        or (kind == "f" and axes in (1, 2))
        or (kind, axes) == ("U", 1)
    ):
        raise SamplesError(f"{path}: the labels are {labels.dtype} of shape {labels.shape}", _FORMS)
    if len(labels) != count:
        raise SamplesError(
            f"{path}: {len(labels)} labels for {count} samples", "save one label a sample"
        )

    def origin(index: int) -> str:
        return f"{path}[{index}]"

    if kind == "U":
        return Labels("text", tuple(map(str, labels)), origin=origin)
    if kind == "f" or axes == 2:
        if not np.isfinite(labels).all():
            raise SamplesError(f"{path}: the labels hold NaN or infinite values", "save them again")
        return Labels("vector", labels.astype(np.float64).reshape(count, -1), origin=origin)
    if int(labels.min()) < 0 or int(labels.max()) > np.iinfo(np.int64).max:
        raise SamplesError(
            f"{path}: the labels range from {labels.min()} to {labels.max()}",
            "labels are class indices from 0",
        )
    if axes == 3:
        return Labels("mask", labels, origin=origin)
    return Labels("class", labels.astype(np.int64), origin=origin)


def boxes_of(table: Array, count: int, path: Path) -> Labels:
    """Return boxes from rows (M, 6): sample, class, x1, y1, x2, y2 in the sample's pixels.

    Raises SamplesError for another shape, and for a sample that does not exist.
    """
    where = f"{path}: array {BOXES!r}"
    if table.ndim != 2 or table.shape[1] != 6 or not np.isfinite(table).all():
        raise SamplesError(
            f"{where}: {table.dtype} of shape {table.shape}",
            "its rows are sample, class, x1, y1, x2, y2: (M, 6), finite numbers",
        )
    samples, classes = table[:, 0].astype(np.int64), table[:, 1].astype(np.int64)
    if samples.min() < 0 or samples.max() >= count or classes.min() < 0:
        raise SamplesError(
            f"{where}: samples {samples.min()} to {samples.max()} and classes from "
            f"{classes.min()}, but there are {count} samples",
            "both count from 0",
        )
    own = (samples == index for index in range(count))
    values = tuple(make_boxes(table[rows, 2:].astype(np.float64), classes[rows]) for rows in own)
    return Labels("boxes", values, origin=lambda index: f"{path}[{index}]")
