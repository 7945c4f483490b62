"""Labels in an array: classes, texts, numbers, masks or boxes, by type and shape."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...core.errors import SamplesError
from ...core.types import Array
from .boxes import Boxes, make_boxes
from .labels import Labels

# a name that no model's input has
BOXES = "label_boxes"
_FORMS = (
    "labels are non-negative integers (N,): classes; integers (N, H, W): masks; floats (N,) or "
    "(N, D): numbers; or texts (N,)"
)


def labels_of(labels: Array, count: int, path: Path) -> Labels:
    """Return the labels of ``count`` samples. Raises SamplesError for other arrays."""
    kind, axes = labels.dtype.kind, labels.ndim
    if not (
        (kind in "ui" and axes in (1, 3))
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
    if kind == "f":
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
    values: list[Boxes] = []
    for index in range(count):
        rows = samples == index
        values.append(make_boxes(table[rows, 2:].astype(np.float64), classes[rows]))
    return Labels("boxes", tuple(values), origin=lambda index: f"{path}[{index}]")
