"""From a detector's outputs to boxes and class scores: raw or decoded heads of the YOLO family.

Every head gives (corners (A, 4) in the input's pixels, scores (A, C)) for each sample. ``size`` is
the input's (height, width). Outputs are (N, ...) each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from ...calibration_data.images.geometry import Size
from ...core.diagnostics import option
from ...core.errors import OptionError, SamplesError
from ...core.types import Array

# corners (A, 4) and class scores (A, C)
ScoredBoxes = tuple[Array, Array]
# width and height of the anchors of each cell, by scale
Anchors = Sequence[Sequence[tuple[float, float]]]

# of YOLOv5 (and v7) for COCO: width and height of the three anchors at strides 8, 16 and 32.
ANCHORS = (
    ((10, 13), (16, 30), (33, 23)),
    ((30, 61), (62, 45), (59, 119)),
    ((116, 90), (156, 198), (373, 326)),
)
REG_MAX = 16  # bins of a side in the distribution that YOLOv8 and later learn
MOST_ROWS = 1000  # more rows than a model with its own selection gives


def head_of(outputs: Sequence[Array]) -> str:
    """Return the head that has outputs of these shapes. Raises OptionError when unsure."""
    shapes = [output.shape[1:] for output in outputs]
    match shapes:
        case [(rows, 6)] if rows <= MOST_ROWS:
            return "end2end"
        case [(rows, columns)]:
            return "yolov8" if rows < columns else "yolov5"
        case [(_, _), (_, _)] if any(4 in shape for shape in shapes):
            return "boxes-scores"
    axes = {len(shape) for shape in shapes}
    if axes == {3} and len({shape[1:] for shape in shapes}) < len(shapes):
        return "yolov8"  # boxes and scores of each scale apart
    if axes == {4} and all(shape[0] == 3 for shape in shapes):
        return "yolov5"
    raise OptionError(
        f"outputs of the shapes {', '.join(map(str, shapes))} fit several detector heads or none",
        f"say which with {option('metric-option', {'head': 'yolov5'})} (v7 too) or "
        f"{option('metric-option', {'head': 'yolov8'})} (v9, v11 too), and "
        f"which outputs with {option('metric-output')}",
    )


def yolov5_boxes(
    outputs: Sequence[Array], size: Size, anchors: Anchors = ANCHORS
) -> Iterator[ScoredBoxes]:
    """Decode rows of centre, sides, objectness and classes; or raw maps with three anchors each."""
    if len(outputs) == 1 and outputs[0].ndim == 3:
        for rows in outputs[0]:
            rows = rows if rows.shape[0] >= rows.shape[1] else rows.T
            yield corners_of(rows[:, :4]), scores_of(rows[:, 5:]) * scores_of(rows[:, 4:5])
        return
    maps = sorted((_anchored(output) for output in outputs), key=lambda scale: -scale.shape[2])
    if len(maps) != len(anchors):
        raise unfit(outputs, "yolov5")
    for index in range(len(maps[0])):
        parts = [
            _anchor_boxes(scale[index], own, size) for scale, own in zip(maps, anchors, strict=True)
        ]
        rows = np.concatenate(parts)
        yield corners_of(rows[:, :4]), rows[:, 5:] * rows[:, 4:5]


def _anchored(output: Array) -> Array:
    """Return (N, 3, H, W, 5 + C), from that or from (N, 3 (5 + C), H, W)."""
    if output.ndim == 5:
        return output
    if output.ndim != 4 or output.shape[1] % 3:
        raise unfit([output], "yolov5")
    count, channels, height, width = output.shape
    split = output.reshape(count, 3, channels // 3, height, width)
    return np.moveaxis(split, 2, 4)


def _anchor_boxes(scale: Array, anchors: Sequence[tuple[float, float]], size: Size) -> Array:
    """Return rows (3 H W, 5 + C) of one scale (3, H, W, 5 + C), centre and sides in pixels.

    Source: Jocher, YOLOv5, 2020: centre (2 s - 0.5 + cell) stride, sides (2 s)^2 anchor.
    """
    height, width = scale.shape[1:3]
    values = scores_of(scale.astype(np.float64))
    cells = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=2)
    stride = np.array([size[1] / width, size[0] / height])
    values[..., :2] = (2 * values[..., :2] - 0.5 + cells) * stride
    values[..., 2:4] = (2 * values[..., 2:4]) ** 2 * np.array(anchors)[:, np.newaxis, np.newaxis]
    rows: Array = values.reshape(-1, values.shape[-1])
    return rows


def _yolov8(outputs: Sequence[Array], size: Size) -> Iterator[ScoredBoxes]:
    """Decode rows of centre, sides and classes; or raw maps of side distributions and classes."""
    if len(outputs) == 1 and outputs[0].ndim == 3:
        for rows in outputs[0]:
            rows = rows if rows.shape[0] >= rows.shape[1] else rows.T
            yield corners_of(rows[:, :4]), scores_of(rows[:, 4:])
        return
    scales: dict[Size, list[Array]] = {}
    for output in outputs:
        if output.ndim != 4:
            raise unfit(outputs, "yolov8")
        scales.setdefault((output.shape[2], output.shape[3]), []).append(output)
    pairs = [sides_and_classes(group) for group in scales.values()]
    for index in range(len(outputs[0])):
        parts = [(side_corners(sides[index], size), classes[index]) for sides, classes in pairs]
        scores = [planes.reshape(planes.shape[0], -1).T for _, planes in parts]
        yield np.concatenate([corners for corners, _ in parts]), scores_of(np.concatenate(scores))


def sides_and_classes(group: Sequence[Array]) -> tuple[Array, Array]:
    """Return a scale's maps of sides and classes; a map of one channel is the classes' sum."""
    if len(group) == 1:
        split = 4 * REG_MAX if group[0].shape[1] > 4 * REG_MAX else 4
        return group[0][:, :split], group[0][:, split:]
    channels = [planes.shape[1] for planes in group]
    sides = next((i for i, count in enumerate(channels) if count in (4 * REG_MAX, 4)), None)
    if sides is None:
        raise unfit(group, "yolov8")
    rest = [planes for i, planes in enumerate(group) if i != sides]
    return group[sides], max(rest, key=lambda planes: planes.shape[1])


def side_corners(sides: Array, size: Size) -> Array:
    """Return corners (H W, 4) from the distances (4 or 64, H, W) of cells' middles to the sides.

    Source: Li et al., Generalized focal loss, NeurIPS 2020: the mean of a distribution over bins.
    """
    height, width = sides.shape[1:]
    left, top, right, bottom = side_distances(sides)
    x, y = (cells.ravel() + 0.5 for cells in np.meshgrid(np.arange(width), np.arange(height)))
    stride = np.array([size[1] / width, size[0] / height] * 2)
    corners: Array = np.stack([x - left, y - top, x + right, y + bottom], axis=1) * stride
    return corners


def side_distances(sides: Array) -> Array:
    """Return distances (4, H W) in cells, from maps (4, H, W), or (64, H, W) of their bins."""
    channels = sides.shape[0]
    values = sides.astype(np.float64).reshape(4, channels // 4, -1)
    if channels > 4:
        values = np.exp(values - values.max(axis=1, keepdims=True))
        bins = np.arange(channels // 4)[:, np.newaxis]
        values = (values * bins).sum(axis=1) / values.sum(axis=1)
    distances: Array = values.reshape(4, -1)
    return distances


def _end2end(outputs: Sequence[Array], size: Size) -> Iterator[ScoredBoxes]:
    """Decode rows x1, y1, x2, y2, score, class of a model that selects boxes itself."""
    if outputs[0].ndim != 3 or outputs[0].shape[2] != 6:
        raise unfit(outputs, "end2end")
    classes = max(1, int(outputs[0][..., 5].max()) + 1)
    for rows in outputs[0].astype(np.float64):
        yield rows[:, :4], rows_of_classes(rows, classes)


def rows_of_classes(rows: Array, classes: int) -> Array:
    """Return scores (A, classes + 1) from rows whose fifth number is a score, the sixth its class.

    How many classes the model has the rows do not say: the last column is minus infinity.
    """
    scores = np.zeros((len(rows), classes + 1))
    scores[:, -1] = -np.inf
    scores[np.arange(len(rows)), np.maximum(rows[:, 5].astype(int), 0)] = rows[:, 4]
    return scores


def _rtdetr(outputs: Sequence[Array], size: Size) -> Iterator[ScoredBoxes]:
    """Decode rows of centre and sides in shares of the image, and scores (C) or score and class.

    Classes are whole numbers. Where all are 0, rows of 6 mean the same as scores of two classes.
    Source: Zhao et al., DETRs beat YOLOs on real-time object detection, CVPR 2024.
    """
    if len(outputs) != 1 or outputs[0].ndim != 3 or outputs[0].shape[2] < 5:
        raise unfit(outputs, "rtdetr")
    array = outputs[0].astype(np.float64)
    numbers = array[..., 5:].round()
    has_classes = array.shape[2] == 6 and np.array_equal(numbers, array[..., 5:])
    classes = max(1, int(numbers.max()) + 1) if has_classes else 0
    for rows in array:
        corners = corners_of(rows[:, :4]) * np.array([size[1], size[0]] * 2)
        yield corners, rows_of_classes(rows, classes) if has_classes else scores_of(rows[:, 4:])


def _boxes_scores(outputs: Sequence[Array], size: Size) -> Iterator[ScoredBoxes]:
    """Decode corners (A, 4), or YOLOv8's centres and sides (4, A), and an output of scores."""
    able = (i for i, output in enumerate(outputs[:2]) if output.ndim == 3 and 4 in output.shape[1:])
    first = next(able, 0)
    boxes, scores = outputs[first], outputs[1 - first]
    if boxes.ndim != 3 or scores.ndim != 3 or 4 not in boxes.shape[1:]:
        raise unfit(outputs, "boxes-scores")
    for rows, values in zip(boxes.astype(np.float64), scores, strict=True):
        corners = rows if rows.shape[1] == 4 else corners_of(rows.T)
        yield corners, scores_of(values if len(values) == len(corners) else values.T)


YOLO_HEADS: Mapping[str, Callable[[Sequence[Array], Size], Iterator[ScoredBoxes]]] = {
    "yolov5": yolov5_boxes,
    "yolov8": _yolov8,
    "end2end": _end2end,
    "rtdetr": _rtdetr,
    "boxes-scores": _boxes_scores,
}


def corners_of(rows: Array) -> Array:
    """Return corners from centre and sides (A, 4).

    >>> corners_of(np.array([[5.0, 5.0, 2.0, 4.0]])).tolist()
    [[4.0, 3.0, 6.0, 7.0]]
    """
    rows = rows.astype(np.float64)
    half = rows[:, 2:4] / 2
    corners: Array = np.concatenate([rows[:, :2] - half, rows[:, :2] + half], axis=1)
    return corners


def scores_of(values: Array) -> Array:
    """Return values within 0..1 (and int8's rounding beside it) as they are, logits' sigmoid."""
    values = values.astype(np.float64)
    if not values.size or (values.min() >= -0.05 and values.max() <= 1.05):
        return values
    scores: Array = 1 / (1 + np.exp(-np.clip(values, -60, 60)))
    return scores


def unfit(outputs: Sequence[Array], head: str) -> SamplesError:
    """Return the error of outputs that are no such head."""
    shapes = ", ".join(str(output.shape) for output in outputs)
    return SamplesError(
        f"outputs of the shapes {shapes} are no {head} head",
        f"choose another head with {option('metric-option')}, or the outputs with "
        f"{option('metric-output')}",
    )
