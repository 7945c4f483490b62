"""What each sample brings to its task's metric: two numbers, whose sums' ratio is the metric.

So one bootstrap and one test do for all: right answers over answers, characters less edits over
characters, twice the right boxes over predicted and true ones, F1 over frames.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rockpress.accuracy.metrics.average_precision import OWN_SCORE, image_f1
from rockpress.accuracy.metrics.detection import MeanAveragePrecision
from rockpress.accuracy.metrics.text_boxes import TextBoxes, counted_boxes
from rockpress.calibration_data.sources.boxes import make_boxes

from ..detectors.frames import SCORE, SIZE
from ..quantizations.text import edits, read_text, vocabulary
from .cutouts import mask_of

Array = NDArray[Any]
Outputs = Sequence[Array]  # each (samples, ...)
Parts = Array  # (samples, 2)
Score = Callable[[Path, Outputs, Outputs, Sequence[str]], Parts]

_MAP = 320  # pixels: height and width of a text detector's output


def right_classes(
    file: Path, outputs: Outputs, expected: Outputs, texts: Sequence[str], output: int = 0
) -> Parts:
    """Count 1 where the first class is the label.

    >>> right_classes(Path(), [np.array([[0.9, 0.1], [0.8, 0.2]])], [], ["0", "1"]).tolist()
    [[1.0, 1.0], [0.0, 1.0]]
    """
    return _shares(_first(outputs[output]) == np.array([int(text) for text in texts]))


def classes_like_float(
    file: Path, outputs: Outputs, expected: Outputs, texts: Sequence[str]
) -> Parts:
    """Count 1 where the first class is that of the float model, ``expected``."""
    return _shares(_first(outputs[0]) == _first(expected[0]))


def right_characters(
    file: Path, outputs: Outputs, expected: Outputs, texts: Sequence[str]
) -> Parts:
    """Count the written characters less the edits that what was read needs; spaces aside."""
    alphabet = vocabulary(file)
    steps = outputs[0].reshape(len(texts), -1, len(alphabet))
    read = [read_text(row, alphabet).replace(" ", "") for row in steps]
    written = [text.replace(" ", "") for text in texts]
    pairs = zip(read, written, strict=True)
    rows = [(max(0, len(text) - edits(answer, text)), len(text)) for answer, text in pairs]
    return np.array(rows, np.float64)


def right_text_boxes(
    file: Path, outputs: Outputs, expected: Outputs, texts: Sequence[str]
) -> Parts:
    """Count twice the right boxes of text lines, over predicted and true ones (IoU 0.5)."""
    predictions = TextBoxes().predict([outputs[0].reshape(len(texts), 1, _MAP, _MAP)])
    rows = []
    for boxes, text in zip(predictions, texts, strict=True):
        corners = np.array(json.loads(text), np.float64).reshape(-1, 4)
        truth = make_boxes(corners, np.zeros(len(corners), np.int64))
        right, predicted, true = counted_boxes(boxes, truth, 0.5)
        rows.append((2 * right, predicted + true))
    return np.array(rows, np.float64)


def right_masks(file: Path, outputs: Outputs, expected: Outputs, texts: Sequence[str]) -> Parts:
    """Count the pixels that the first output and the truth share, over those that either has.

    The output is stretched to 0..1 as U-2-Net's own code does it; what is above the middle counts.
    """
    rows = []
    for output, text in zip(outputs[0], texts, strict=True):
        low, high = float(output.min()), float(output.max())
        mask = output.reshape(output.shape[-2:]) > (low + high) / 2
        truth = mask_of(text, mask.shape)
        rows.append(((mask & truth).sum(), (mask | truth).sum()))
    return np.array(rows, np.float64)


def right_neighbours(
    file: Path, outputs: Outputs, expected: Outputs, texts: Sequence[str]
) -> Parts:
    """Count 1 where the nearest other vector, by the cosine, has the same text.

    >>> near, far = [[1.0, 0.0], [0.9, 0.1]], [[0.0, 1.0], [0.7, 0.7]]
    >>> right_neighbours(Path(), [np.array(near + far)], [], list("aabb")).tolist()
    [[1.0, 1.0], [1.0, 1.0], [1.0, 1.0], [0.0, 1.0]]
    """
    vectors = outputs[0].reshape(len(texts), -1).astype(np.float64)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    likeness = vectors @ vectors.T
    np.fill_diagonal(likeness, -np.inf)
    labels = np.array(texts)
    return _shares(labels[likeness.argmax(axis=1)] == labels)


def boxes_like_float(
    file: Path, outputs: Outputs, expected: Outputs, texts: Sequence[str]
) -> Parts:
    """Return each frame's F1 at IoU 0.5, with what the float model finds as the truth."""
    metric = MeanAveragePrecision("map50", score=SCORE, input_size=(SIZE, SIZE), head="yolov8")
    predicted, true = metric.predict(outputs), metric.predict(expected)
    f1 = [
        image_f1(boxes, make_boxes(truth.corners, truth.classes))
        for boxes, truth in zip(predicted, (each.above(OWN_SCORE) for each in true), strict=True)
    ]
    return np.stack([np.array(f1), np.ones(len(f1))], axis=1)


def sqnr_db(expected: Outputs, outputs: Outputs) -> float:
    """Return the signal to noise ratio of the worst output, over all samples, in dB.

    >>> sqnr_db([np.array([[3.0, 4.0]])], [np.array([[3.0, 4.5]])])
    20.0
    """
    ratios = []
    for reference, values in zip(expected, outputs, strict=True):
        signal = np.asarray(reference, np.float64)
        noise = float(((signal - values) ** 2).sum())
        ratios.append(10 * np.log10(max(float((signal**2).sum()), 1e-30) / max(noise, 1e-30)))
    return float(min(ratios))


def _first(scores: Array) -> Array:
    first: Array = scores.reshape(len(scores), -1).argmax(axis=1)
    return first


def _shares(is_right: Array) -> Parts:
    return np.stack([is_right.astype(np.float64), np.ones(len(is_right))], axis=1)
