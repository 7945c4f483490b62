"""Heads without anchors that are not YOLOv8's: YOLOX, and distances as distributions of any width.

Both place boxes on the cells of each scale, whose strides are powers of two. Outputs are (N, ...)
each, ``size`` is the input's (height, width); corners are in its pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ...calibration_data.images.geometry import Size
from ...core.types import Array
from .detector_heads import ScoredBoxes, corners_of, scores_of, unfit

_STRIDES = (8, 16, 32, 64, 128)


def cells_at(stride: int, size: Size) -> Array:
    """Return the cells (A, 2) of a scale as x, y, row by row; one that is cut off counts.

    >>> cells_at(8, (8, 20)).tolist()
    [[0, 0], [1, 0], [2, 0]]
    """
    rows, columns = (-(-length // stride) for length in size)
    cells: Array = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=2).reshape(-1, 2)
    return cells


def strides_of(counts: Sequence[int], size: Size) -> list[int] | None:
    """Return the stride of each scale by its number of cells; None where one has none.

    >>> strides_of([4, 1], (16, 16)), strides_of([5], (16, 16))
    ([8, 16], None)
    """
    by_count = {len(cells_at(stride, size)): stride for stride in reversed(_STRIDES)}
    strides = [by_count.get(count) for count in counts]
    return None if None in strides else [stride or 0 for stride in strides]


def rows_of_map(planes: Array) -> Array:
    """Return rows (N, H W, C) of maps (N, C, H, W); what has three axes is rows already."""
    if planes.ndim == 3:
        return planes
    count, channels = planes.shape[:2]
    return np.moveaxis(planes.reshape(count, channels, -1), 1, 2)


def yolox_boxes(outputs: Sequence[Array], size: Size) -> Iterator[ScoredBoxes]:
    """Decode shifts, logarithms of sides, objectness and classes of all cells.

    In one output (N, A, 5 + C), or for each scale maps of these together, or of boxes, objectness
    and classes apart, in this order. Source: Ge et al., YOLOX, 2021.
    """
    rows = outputs[0] if len(outputs) == 1 else _joined_scales(outputs)
    strides = [stride for stride in _STRIDES[:3] for _ in range(len(cells_at(stride, size)))]
    if rows.ndim != 3 or rows.shape[1] != len(strides) or rows.shape[2] < 6:
        raise unfit(outputs, "yolox")
    cells = np.concatenate([cells_at(stride, size) for stride in _STRIDES[:3]])
    pixels = np.array(strides)[:, np.newaxis]
    for values in rows.astype(np.float64):
        middles, sides = (values[:, :2] + cells) * pixels, np.exp(values[:, 2:4]) * pixels
        scores = scores_of(values[:, 5:]) * scores_of(values[:, 4:5])
        yield corners_of(np.concatenate([middles, sides], axis=1)), scores


def _joined_scales(outputs: Sequence[Array]) -> Array:
    """Return rows (N, A, 5 + C) of maps, the finest scale first."""
    scales: dict[tuple[int, ...], list[Array]] = {}
    for planes in outputs:
        if planes.ndim != 4:
            raise unfit(outputs, "yolox")
        scales.setdefault(planes.shape[2:], []).append(planes)
    finest = sorted(scales.values(), key=lambda group: -group[0].shape[2])
    parts = [rows_of_map(np.concatenate(_boxes_first(group), axis=1)) for group in finest]
    return np.concatenate(parts, axis=1)


def _boxes_first(group: Sequence[Array]) -> list[Array]:
    """Return the maps of a scale as boxes, objectness, classes."""
    boxes = next((i for i, planes in enumerate(group) if planes.shape[1] == 4), 0)
    rest = [planes for i, planes in enumerate(group) if i != boxes]
    # a single class comes last all the same, as the sort is stable
    return [group[boxes], *sorted(rest, key=lambda planes: planes.shape[1] != 1)]


def distributed_boxes(
    outputs: Sequence[Array], size: Size, bins: Sequence[int]
) -> Iterator[ScoredBoxes]:
    """Decode distances from the cells' middles to the sides, in cells, and classes.

    For each scale maps (N, C, H, W) or rows (N, H W, C): of classes and of the four sides'
    ``bins``, apart or, as maps, joined with the classes first. Source: Li et al., Generalized focal
    loss, NeurIPS 2020.
    """
    scales: dict[int, list[Array]] = {}
    for rows in map(rows_of_map, outputs):
        if rows.ndim != 3:
            raise unfit(outputs, "distance")
        scales.setdefault(rows.shape[1], []).append(rows)
    strides = strides_of(list(scales), size)
    parts = [_sides_and_scores(group, [4 * count for count in bins]) for group in scales.values()]
    if strides is None or any(part is None for part in parts):
        raise unfit(outputs, "distance")
    pairs = [part for part in parts if part is not None]
    for index in range(len(outputs[0])):
        boxes = [
            _corners_at(sides[index], stride, size)
            for (sides, _), stride in zip(pairs, strides, strict=True)
        ]
        scores = np.concatenate([classes[index] for _, classes in pairs])
        yield np.concatenate(boxes), scores_of(scores)


def _sides_and_scores(group: Sequence[Array], columns: Sequence[int]) -> tuple[Array, Array] | None:
    """Return a scale's rows of sides and of classes; one column is the sum of the classes."""
    if len(group) == 1:
        rows, count = group[0], columns[0]
        return (rows[..., -count:], rows[..., :-count]) if rows.shape[2] > count else None
    places = [i for i, rows in enumerate(group) if rows.shape[2] in columns]
    if not places:
        return None
    rest = [rows for i, rows in enumerate(group) if i != places[0]]
    return group[places[0]], max(rest, key=lambda rows: rows.shape[2])


def _corners_at(sides: Array, stride: int, size: Size) -> Array:
    """Return corners (A, 4) in pixels of the distances (A, 4 bins) of a scale."""
    values = sides.astype(np.float64).reshape(len(sides), 4, -1)
    if values.shape[2] > 1:
        values = np.exp(values - values.max(axis=2, keepdims=True))
        values /= values.sum(axis=2, keepdims=True)
        values = values @ np.arange(values.shape[2])[:, np.newaxis]
    distances, middles = values[..., 0], cells_at(stride, size) + 0.5
    low, high = middles - distances[:, :2], middles + distances[:, 2:]
    corners: Array = np.concatenate([low, high], axis=1) * stride
    return corners
