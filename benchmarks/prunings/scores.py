"""What a pruned model is worth: true accuracy where there are labels, else likeness."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..quantizations.text import characters_right, read_text, vocabulary
from .methods import DET, LITE0, REC

Array = NDArray[Any]

_SURE = 0.5  # probability of the float model's first class
_TEXT = 0.3  # from this on the detector says text
MEASURES = {LITE0: "sure agreement", REC: "characters", DET: "text overlap"}


def scored(
    model: str, file: Path, wanted: Array, found: Array, labels: list[int] | None, texts: list[str]
) -> float:
    """From 0 to 1; ``wanted`` and ``found`` are outputs (samples, elements).

    Accuracy with ``labels``; for the recogniser the share of characters read right, for the
    detector intersection over union with the float model's map of text, for EfficientNet the equal
    first classes where the float model is sure.
    """
    if labels is not None:
        return float((found.argmax(1) == np.array(labels)).mean())
    if model == REC:
        known = vocabulary(file)
        read = [read_text(one.reshape(-1, len(known)), known) for one in found]
        return characters_right(read, texts)
    if model == DET:
        return overlap(wanted > _TEXT, found > _TEXT)
    sure = np.exp(wanted - wanted.max(1, keepdims=True))
    chosen = 1 / sure.sum(1) > _SURE
    return float((wanted.argmax(1) == found.argmax(1))[chosen].mean())


def overlap(first: Array, second: Array) -> float:
    """Intersection over union of two sets of pixels.

    >>> overlap(np.array([1, 1, 0]) > 0, np.array([1, 0, 0]) > 0)
    0.5
    """
    union = int((first | second).sum())
    return float((first & second).sum() / union) if union else 1.0


def interval(value: float, count: int) -> tuple[float, float]:
    """95 % interval of a share of ``count`` samples (Wilson).

    >>> [round(one, 3) for one in interval(0.95, 600)]
    [0.93, 0.965]
    """
    z = 1.96
    middle = (value + z * z / (2 * count)) / (1 + z * z / count)
    spread = value * (1 - value) / count + z * z / (4 * count * count)
    half = z / (1 + z * z / count) * float(np.sqrt(max(spread, 0.0)))
    return middle - half, middle + half


def is_share(model: str) -> bool:
    """Whether the score counts samples, so that an interval can be given."""
    return model not in MEASURES
