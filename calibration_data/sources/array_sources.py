"""Samples in a .npy or .npz file: uint8 arrays are images, other numbers are tensors."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...core.errors import SamplesError
from ...core.types import Array
from .array_files import LABELS, read_npy, read_npz
from .array_labels import BOXES, boxes_of, labels_of
from .labels import Labels
from .source_types import ImageArray, Source, TensorArrays

_CHANNELS = (1, 3, 4)


def open_npy(path: Path) -> Source:
    """Open one array (N, ...), mapped: uint8 (N, H, W[, C]) are images, other types are tensors."""
    arrays = {"": read_npy(path)}
    _sample_count(arrays, path)
    return _source(arrays, None, path)


def open_npz(path: Path) -> Source:
    """Open ``images`` or one array for each model input, and ``labels`` or ``label_boxes`` if any.

    Raises SamplesError when the arrays hold different numbers of samples, when uint8 arrays do
    not look like images, or when the labels are none that a task has.
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
    if all(array.dtype != np.uint8 for array in arrays.values()):
        return TensorArrays(path, arrays, checked)
    if len(arrays) > 1:
        raise SamplesError(
            f"{path}: uint8 images among several arrays: {', '.join(arrays)}",
            "save images alone (and labels), or tensors of another type for every input",
        )
    images = next(iter(arrays.values()))
    _check_images(images, path)
    return ImageArray(path, images, checked)


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
    return next(iter(counts.values()))


def _check_images(images: Array, path: Path) -> None:
    shape = images.shape
    # (H, W, 3) of one image has three axes as well, and must not pass as H images of W x 3
    stack = len(shape) == 3 and shape[2] not in _CHANNELS
    if not stack and not (len(shape) == 4 and shape[3] in _CHANNELS):
        raise SamplesError(
            f"{path}: uint8 of shape {shape} is not a set of images",
            "save images as (N, H, W) or (N, H, W, C) with 1, 3 or 4 channels, tensors as float",
        )
