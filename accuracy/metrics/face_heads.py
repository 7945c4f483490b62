"""Heads of face detectors: RetinaFace and SCRFD; what they give of landmarks is left out.

Outputs are (N, ...) each, ``size`` is the input's (height, width); corners are in its pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ...calibration_data.images.geometry import Size
from ...core.types import Array
from .detector_heads import ScoredBoxes, corners_of, scores_of, unfit
from .grid_heads import cells_at, strides_of

# sides of the two square priors of a cell, in pixels, at each stride
_PRIORS = {8: (16, 32), 16: (64, 128), 32: (256, 512)}
_SHIFT, _GROWTH = 0.1, 0.2  # what shifts and logarithms of sides were divided by in training
_BOX, _FACE, _LANDMARKS = 4, 2, 10


def retinaface_boxes(outputs: Sequence[Array], size: Size) -> Iterator[ScoredBoxes]:
    """Decode boxes (N, A, 4) and pairs of no face and face (N, A, 2), or the maps of each scale.

    Source: Deng et al., RetinaFace, 2019, with the priors of its PyTorch version, and the
    decoding of Liu et al., SSD, 2016.
    """
    boxes, pairs = _rows_with(outputs, _BOX), _rows_with(outputs, _FACE)
    priors = _priors(size)
    if boxes is None or pairs is None or {boxes.shape[1], pairs.shape[1]} != {len(priors)}:
        raise unfit(outputs, "retinaface")
    for values, odds in zip(boxes.astype(np.float64), pairs.astype(np.float64), strict=True):
        middles = priors[:, :2] + _SHIFT * values[:, :2] * priors[:, 2:]
        sides = priors[:, 2:] * np.exp(_GROWTH * values[:, 2:])
        yield corners_of(np.concatenate([middles, sides], axis=1)), _faces(odds)


def _rows_with(outputs: Sequence[Array], columns: int) -> Array | None:
    """Return rows (N, A, columns): an output, or the maps with two priors of all scales."""
    for output in outputs:
        if output.ndim == 3 and output.shape[2] == columns:
            return output
    maps = [output for output in outputs if output.ndim == 4 and output.shape[1] == 2 * columns]
    if not maps:
        return None
    finest = sorted(maps, key=lambda planes: -planes.shape[2])
    parts = [np.moveaxis(planes, 1, 3).reshape(len(planes), -1, columns) for planes in finest]
    rows: Array = np.concatenate(parts, axis=1)
    return rows


def _priors(size: Size) -> Array:
    """Return middles and sides (A, 4) of all priors in pixels."""
    priors = []
    for stride, sides in _PRIORS.items():
        middles = (cells_at(stride, size) + 0.5) * stride
        pairs = np.repeat(middles, 2, axis=0)
        squares = np.tile(sides, len(middles))[:, np.newaxis].repeat(2, axis=1)
        priors.append(np.concatenate([pairs, squares], axis=1))
    return np.concatenate(priors)


def _faces(odds: Array) -> Array:
    """Return scores (A, 1) from pairs that sum to one, or from logits."""
    if np.allclose(odds.sum(axis=1), 1, atol=0.05):
        return odds[:, 1:]
    faces: Array = 1 / (1 + np.exp(np.clip(odds[:, :1] - odds[:, 1:], -60, 60)))
    return faces


def scrfd_boxes(outputs: Sequence[Array], size: Size) -> Iterator[ScoredBoxes]:
    """Decode scores (N, A, 1) and distances to the sides (N, A, 4), in cells, of each scale.

    They are from the cells' upper left corners; a cell has one box, or two after each other.
    Source: Guo et al., Sample and computation redistribution for efficient face detection, 2021.
    """
    boxes = {rows.shape[1]: rows for rows in outputs if rows.ndim == 3 and rows.shape[2] == _BOX}
    scores = {rows.shape[1]: rows for rows in outputs if rows.ndim == 3 and rows.shape[2] == 1}
    for each in (1, 2):
        strides = strides_of([count // each for count in boxes], size)
        if strides is not None and all(count % each == 0 for count in boxes):
            break
    if not boxes or strides is None or boxes.keys() != scores.keys():
        raise unfit(outputs, "scrfd")
    scales = [
        (rows.astype(np.float64), scores[count], np.repeat(cells_at(stride, size), each, 0), stride)
        for (count, rows), stride in zip(boxes.items(), strides, strict=True)
    ]
    for index in range(len(outputs[0])):
        parts = [
            (np.concatenate([c - rows[index][:, :2], c + rows[index][:, 2:]], 1) * stride, s[index])
            for rows, s, c, stride in scales
        ]
        yield (
            np.concatenate([corners for corners, _ in parts]),
            scores_of(np.concatenate([values for _, values in parts])),
        )
