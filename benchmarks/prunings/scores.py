"""What a pruned model is worth: true accuracy where there are labels, else likeness."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..quantizations.text import characters_right, texts_in
from .methods import DET, LITE0, LITE1, REC

Array = NDArray[Any]

_SURE = 0.5  # probability of the float model's first class
_TEXT = 0.3  # from this on the detector says text
MEASURES = {
    LITE0: "sure agreement",
    LITE1: "sure agreement",
    REC: "characters",
    DET: "text overlap",
}


def points(
    model: str,
    file: Path,
    target: Array,
    outputs: Array,
    labels: list[int] | None,
    texts: list[str],
) -> Array:
    """Return the points of each sample, from 0 to 1 and nan where it does not count: (samples,).

    ``target`` are the float model's outputs, both (samples, elements). 1 for a right class with
    ``labels``; for the recogniser the share of characters read right, for the detector intersection
    over union with the float model's map of text, for EfficientNet 1 for an equal first class,
    where the float model is sure.
    """
    if labels is not None:
        right: Array = (outputs.argmax(1) == np.array(labels)).astype(float)
        return right
    if model == REC:
        pairs = zip(texts_in(outputs, file), texts, strict=True)
        return np.array([characters_right([line], [text]) for line, text in pairs])
    if model == DET:
        pages = zip(target > _TEXT, outputs > _TEXT, strict=True)
        return np.array([overlap(page, other) for page, other in pages])
    sure = np.exp(target - target.max(1, keepdims=True))
    is_equal = target.argmax(1) == outputs.argmax(1)
    return np.where(1 / sure.sum(1) > _SURE, is_equal, np.nan)


def scored(
    model: str,
    file: Path,
    target: Array,
    outputs: Array,
    labels: list[int] | None,
    texts: list[str],
) -> float:
    """Return the mean of ``points``, but of all characters and all pixels of text together."""
    if model == REC:
        return characters_right(texts_in(outputs, file), texts)
    if model == DET:
        return overlap(target > _TEXT, outputs > _TEXT)
    return float(np.nanmean(points(model, file, target, outputs, labels, texts)))


def by_source(points: Array, sources: Sequence[str]) -> dict[str, tuple[float, int]]:
    """Return sum and number of the points of all samples that were made from one source.

    >>> by_source(np.array([1.0, 0.5, np.nan]), ["a", "a", "b"])
    {'a': (1.5, 2)}
    """
    sums: dict[str, tuple[float, int]] = {}
    for source, value in zip(sources, points, strict=True):
        if not np.isnan(value):
            total, count = sums.get(source, (0.0, 0))
            sums[source] = (total + float(value), count + 1)
    return sums


def overlap(first: Array, second: Array) -> float:
    """Return intersection over union of two sets of pixels.

    >>> overlap(np.array([1, 1, 0]) > 0, np.array([1, 0, 0]) > 0)
    0.5
    """
    union = int((first | second).sum())
    return float((first & second).sum() / union) if union else 1.0


def interval(value: float, count: int) -> tuple[float, float]:
    """Return 95 % interval of a share of ``count`` samples (Wilson).

    >>> [round(one, 3) for one in interval(0.95, 600)]
    [0.93, 0.965]
    """
    z = 1.96
    middle = (value + z * z / (2 * count)) / (1 + z * z / count)
    spread = value * (1 - value) / count + z * z / (4 * count * count)
    half = z / (1 + z * z / count) * float(np.sqrt(max(spread, 0.0)))
    return middle - half, middle + half


def is_share(model: str) -> bool:
    """Return whether the score counts samples, so that an interval can be given."""
    return model not in MEASURES
