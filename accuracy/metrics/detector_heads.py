"""From a detector's outputs to boxes and class scores: raw or decoded heads of the YOLO family.

Every head gives (corners (A, 4) in the input's pixels, scores (A, C)) for each sample. ``size`` is
the input's (height, width). Outputs are (N, ...) each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Literal

import numpy as np

from ...core.diagnostics import option
from ...core.errors import OptionError, SamplesError
from ...core.types import Array

Size = tuple[int, int]
Boxes = tuple[Array, Array]
Head = Literal["auto", "yolov5", "yolov8", "end2end", "boxes-scores"]

# Of YOLOv5 (and v7) for COCO: width and height of the three anchors at strides 8, 16 and 32.
ANCHORS = (
    ((10, 13), (16, 30), (33, 23)),
    ((30, 61), (62, 45), (59, 119)),
    ((116, 90), (156, 198), (373, 326)),
)
_REG_MAX = 16  # bins of a side in the distribution that YOLOv8 and later learn
_MOST_ROWS = 1000  # more rows than a model with its own selection gives


def decoded(outputs: Sequence[Array], head: Head, size: Size) -> Iterator[Boxes]:
    """Boxes and scores of each sample. Raises SamplesError for outputs that fit no head."""
    which = _guessed(outputs) if head == "auto" else head
    return _HEADS[which](outputs, size)


def _guessed(outputs: Sequence[Array]) -> str:
    shapes = [one.shape[1:] for one in outputs]
    flat = [shape for shape in shapes if len(shape) == 2]
    if len(outputs) == 1 and flat:
        rows, columns = flat[0]
        if columns == 6 and rows <= _MOST_ROWS:
            return "end2end"
        return "yolov8" if rows < columns else "yolov5"
    if len(outputs) == 2 and len(flat) == 2 and any(4 in shape for shape in flat):
        return "boxes-scores"
    maps = [shape for shape in shapes if len(shape) == 3]
    if len(maps) == len(outputs) and len({shape[1:] for shape in maps}) < len(maps):
        return "yolov8"  # boxes and scores of each scale apart
    if all(len(shape) == 4 and shape[0] == 3 for shape in shapes):
        return "yolov5"
    raise OptionError(
        f"outputs of the shapes {', '.join(map(str, shapes))} fit several detector heads or none",
        f"say which with {option('metric-option', {'head': 'yolov5'})} (v7 too) or "
        f"{option('metric-option', {'head': 'yolov8'})} (v9, v11 too), and "
        f"which outputs with {option('metric-output')}",
    )


def _yolov5(outputs: Sequence[Array], size: Size) -> Iterator[Boxes]:
    """Rows of centre, sides, objectness and classes; or raw maps with three anchors each."""
    if len(outputs) == 1 and outputs[0].ndim == 3:
        for rows in outputs[0]:
            rows = rows if rows.shape[0] >= rows.shape[1] else rows.T
            yield _corners(rows[:, :4]), _scores(rows[:, 5:]) * _scores(rows[:, 4:5])
        return
    maps = sorted((_anchored(one) for one in outputs), key=lambda one: -one.shape[2])
    if len(maps) != len(ANCHORS):
        raise _unfit(outputs, "yolov5")
    for index in range(len(maps[0])):
        parts = [
            _anchor_boxes(one[index], anchors, size)
            for one, anchors in zip(maps, ANCHORS, strict=True)
        ]
        rows = np.concatenate(parts)
        yield _corners(rows[:, :4]), rows[:, 5:] * rows[:, 4:5]


def _anchored(output: Array) -> Array:
    """(N, 3, H, W, 5 + C) from that, or from (N, 3 (5 + C), H, W)."""
    if output.ndim == 5:
        return output
    if output.ndim != 4 or output.shape[1] % 3:
        raise _unfit([output], "yolov5")
    count, channels, height, width = output.shape
    split = output.reshape(count, 3, channels // 3, height, width)
    return np.moveaxis(split, 2, 4)


def _anchor_boxes(scale: Array, anchors: Sequence[tuple[int, int]], size: Size) -> Array:
    """Rows (3 H W, 5 + C) of one scale (3, H, W, 5 + C), centre and sides in pixels.

    Source: Jocher, YOLOv5, 2020: centre (2 s - 0.5 + cell) stride, sides (2 s)^2 anchor.
    """
    height, width = scale.shape[1:3]
    values = _scores(scale.astype(np.float64))
    cells = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=2)
    stride = np.array([size[1] / width, size[0] / height])
    values[..., :2] = (2 * values[..., :2] - 0.5 + cells) * stride
    values[..., 2:4] = (2 * values[..., 2:4]) ** 2 * np.array(anchors)[:, np.newaxis, np.newaxis]
    rows: Array = values.reshape(-1, values.shape[-1])
    return rows


def _yolov8(outputs: Sequence[Array], size: Size) -> Iterator[Boxes]:
    """Rows of centre, sides and classes; or raw maps of side distributions and classes."""
    if len(outputs) == 1 and outputs[0].ndim == 3:
        for rows in outputs[0]:
            rows = rows if rows.shape[0] >= rows.shape[1] else rows.T
            yield _corners(rows[:, :4]), _scores(rows[:, 4:])
        return
    scales: dict[Size, list[Array]] = {}
    for one in outputs:
        if one.ndim != 4:
            raise _unfit(outputs, "yolov8")
        scales.setdefault((one.shape[2], one.shape[3]), []).append(one)
    pairs = [_sides_and_classes(group) for group in scales.values()]
    for index in range(len(outputs[0])):
        parts = [(_side_corners(sides[index], size), classes[index]) for sides, classes in pairs]
        scores = [one.reshape(one.shape[0], -1).T for _, one in parts]
        yield np.concatenate([one for one, _ in parts]), _scores(np.concatenate(scores))


def _sides_and_classes(group: Sequence[Array]) -> tuple[Array, Array]:
    """The maps of one scale; a map of one channel beside those of classes is their sum."""
    if len(group) == 1:
        split = 4 * _REG_MAX if group[0].shape[1] > 4 * _REG_MAX else 4
        return group[0][:, :split], group[0][:, split:]
    place = next((i for i, one in enumerate(group) if one.shape[1] in (4 * _REG_MAX, 4)), None)
    rest = [one for i, one in enumerate(group) if i != place]
    if place is None:
        raise _unfit(group, "yolov8")
    return group[place], max(rest, key=lambda one: one.shape[1])


def _side_corners(sides: Array, size: Size) -> Array:
    """Corners (H W, 4) from the distances (4 or 64, H, W) of a cell's middle to the four sides.

    Source: Li et al., Generalized focal loss, NeurIPS 2020: the mean of a distribution over bins.
    """
    channels, height, width = sides.shape
    values = sides.astype(np.float64).reshape(4, channels // 4, -1)
    if channels > 4:
        values = np.exp(values - values.max(axis=1, keepdims=True))
        bins = np.arange(channels // 4)[:, np.newaxis]
        values = (values * bins).sum(axis=1) / values.sum(axis=1)
    left, top, right, bottom = values.reshape(4, -1)
    x, y = (one.ravel() + 0.5 for one in np.meshgrid(np.arange(width), np.arange(height)))
    stride = np.array([size[1] / width, size[0] / height] * 2)
    corners: Array = np.stack([x - left, y - top, x + right, y + bottom], axis=1) * stride
    return corners


def _end2end(outputs: Sequence[Array], size: Size) -> Iterator[Boxes]:
    """Rows x1, y1, x2, y2, score, class of a model that selects boxes itself."""
    if outputs[0].ndim != 3 or outputs[0].shape[2] != 6:
        raise _unfit(outputs, "end2end")
    classes = max(1, int(outputs[0][..., 5].max()) + 1)
    for rows in outputs[0].astype(np.float64):
        scores = np.zeros((len(rows), classes))
        scores[np.arange(len(rows)), np.maximum(rows[:, 5].astype(int), 0)] = rows[:, 4]
        yield rows[:, :4], scores


def _boxes_scores(outputs: Sequence[Array], size: Size) -> Iterator[Boxes]:
    """Two outputs: corners (A, 4), or YOLOv8's centres and sides (4, A); and scores of each."""
    place = next(
        (i for i, one in enumerate(outputs[:2]) if one.ndim == 3 and 4 in one.shape[1:]), 0
    )
    boxes, scores = outputs[place], outputs[1 - place]
    if boxes.ndim != 3 or scores.ndim != 3 or 4 not in boxes.shape[1:]:
        raise _unfit(outputs, "boxes-scores")
    for rows, values in zip(boxes.astype(np.float64), scores, strict=True):
        corners = rows if rows.shape[1] == 4 else _corners(rows.T)
        yield corners, _scores(values if len(values) == len(corners) else values.T)


_HEADS: Mapping[str, Callable[[Sequence[Array], Size], Iterator[Boxes]]] = {
    "yolov5": _yolov5,
    "yolov8": _yolov8,
    "end2end": _end2end,
    "boxes-scores": _boxes_scores,
}
HEADS = ("auto", *_HEADS)


def _corners(rows: Array) -> Array:
    """Corners from centre and sides (A, 4).

    >>> _corners(np.array([[5.0, 5.0, 2.0, 4.0]])).tolist()
    [[4.0, 3.0, 6.0, 7.0]]
    """
    rows = rows.astype(np.float64)
    half = rows[:, 2:4] / 2
    found: Array = np.concatenate([rows[:, :2] - half, rows[:, :2] + half], axis=1)
    return found


def _scores(values: Array) -> Array:
    """As they are within 0..1 (and the rounding of int8 beside it), else the sigmoid of logits."""
    values = values.astype(np.float64)
    if not values.size or (values.min() >= -0.05 and values.max() <= 1.05):
        return values
    found: Array = 1 / (1 + np.exp(-np.clip(values, -60, 60)))
    return found


def _unfit(outputs: Sequence[Array], head: str) -> SamplesError:
    shapes = ", ".join(str(one.shape) for one in outputs)
    return SamplesError(
        f"outputs of the shapes {shapes} are no {head} head",
        f"choose another head with {option('metric-option')}, or the outputs with "
        f"{option('metric-output')}",
    )
