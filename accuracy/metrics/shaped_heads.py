"""From the outputs of a YOLO model to boxes with more about each: keypoints, angles, coefficients.

``extras`` are E numbers an anchor. Outputs are (N, ...) each: rows (4 + C + E, A) of centre, sides,
classes and extras; or (A, 6 + E) of a model that selects boxes itself; or for each scale maps of
sides, classes and extras. Source: Ultralytics, heads of the tasks pose, OBB and segment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import numpy as np

from ...calibration_data.images.geometry import Size
from ...core.types import Array
from .detector_heads import (
    MOST_ROWS,
    REG_MAX,
    corners_of,
    rows_of_classes,
    scores_of,
    sides_and_classes,
    unfit,
)

ShapedHead = Literal["auto", "yolov8", "end2end"]
SHAPED_HEADS: tuple[ShapedHead, ...] = ("auto", "yolov8", "end2end")

# boxes (A, 4), class scores (A, C), extras (A, E)
ShapedRows = tuple[Array, Array, Array]
# from maps of sides (4 or 64, H, W) and extras (E, H, W) of one scale to boxes and extras
ScaleDecoder = Callable[[Array, Array, Size], tuple[Array, Array]]


def decode_shaped(
    outputs: Sequence[Array],
    extras: int,
    head: ShapedHead,
    size: Size,
    decode_scale: ScaleDecoder,
    decode_rows: Callable[[Array], Array] = corners_of,
) -> Iterator[ShapedRows]:
    """Give boxes, scores and extras of each sample.

    ``decode_rows`` makes boxes of centre and sides (A, 4), ``decode_scale`` those of raw maps;
    those of a model that selects boxes itself are taken as they are. Raises SamplesError for
    outputs that are neither.
    """
    if len(outputs) > 1:
        return _of_scales(outputs, extras, size, decode_scale)
    if outputs[0].ndim != 3:
        raise unfit(outputs, head)
    if head == "end2end" or (head == "auto" and selects_itself(outputs[0], extras)):
        return _of_selected(outputs[0], extras)
    return _of_rows(outputs[0], extras, decode_rows)


def selects_itself(output: Array, extras: int) -> bool:
    """Tell whether an output (N, A, 6 + E) is of a model that selects boxes itself.

    ``extras`` 0 stands for any number of them.
    """
    rows, columns = output.shape[1:]
    return rows <= MOST_ROWS and (columns == 6 + extras if extras else 6 < columns < rows)


def _of_rows(
    output: Array, extras: int, decode_rows: Callable[[Array], Array]
) -> Iterator[ShapedRows]:
    for rows in output.astype(np.float64):
        rows = rows if rows.shape[0] >= rows.shape[1] else rows.T
        if rows.shape[1] <= 4 + extras:
            raise unfit([output], "yolov8")
        yield decode_rows(rows[:, :4]), scores_of(rows[:, 4:-extras]), rows[:, -extras:]


def _of_selected(output: Array, extras: int) -> Iterator[ShapedRows]:
    if output.shape[2] != 6 + extras:
        raise unfit([output], "end2end")
    classes = max(1, int(output[..., 5].max()) + 1)
    for rows in output.astype(np.float64):
        yield rows[:, :4], rows_of_classes(rows, classes), rows[:, 6:]


def _of_scales(
    outputs: Sequence[Array], extras: int, size: Size, decode_scale: ScaleDecoder
) -> Iterator[ShapedRows]:
    scales: dict[Size, list[Array]] = {}
    for output in outputs:
        if output.ndim != 4:
            raise unfit(outputs, "yolov8")
        scales.setdefault((output.shape[2], output.shape[3]), []).append(output)
    maps = [_maps_of(group, extras) for group in scales.values()]
    for index in range(len(outputs[0])):
        parts = [
            (*decode_scale(sides[index], more[index], size), classes[index])
            for sides, classes, more in maps
        ]
        boxes, more, classes = zip(*parts, strict=True)
        scores = [planes.reshape(planes.shape[0], -1).T for planes in classes]
        yield np.concatenate(boxes), scores_of(np.concatenate(scores)), np.concatenate(more)


def _maps_of(group: Sequence[Array], extras: int) -> tuple[Array, Array, Array]:
    """Return a scale's maps of sides, classes and extras, which stand last."""
    if len(group) == 1:
        joined = group[0]
        split = 4 * REG_MAX if joined.shape[1] > 4 * REG_MAX + extras else 4
        return joined[:, :split], joined[:, split:-extras], joined[:, -extras:]
    channels = [planes.shape[1] for planes in group]
    if extras not in channels:
        raise unfit(group, "yolov8")
    last = len(channels) - 1 - channels[::-1].index(extras)
    rest = [planes for place, planes in enumerate(group) if place != last]
    return *sides_and_classes(rest), group[last]


def cells_of(planes: Array, size: Size) -> tuple[Array, Array]:
    """Return the middles (H W, 2) of the cells of maps (..., H, W), x and y in cells, and strides.

    >>> cells_of(np.zeros((1, 1, 2)), (8, 16))[0].tolist()
    [[0.5, 0.5], [1.5, 0.5]]
    """
    height, width = planes.shape[-2:]
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    stride = np.array([size[1] / width, size[0] / height])
    return np.stack([x.ravel(), y.ravel()], axis=1), stride


def flat_extras(planes: Array) -> Array:
    """Return maps (E, H, W) as rows (H W, E)."""
    rows: Array = planes.reshape(planes.shape[0], -1).T.astype(np.float64)
    return rows
