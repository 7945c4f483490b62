"""How close the outputs of a quantized model are to the float one's."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .methods import LITE0, REC, YOLO
from .text import characters_right, texts_in

Array = NDArray[Any]

_SURE = 0.5  # probability of the float model's first class
_CLASSES = {LITE0: 1000, REC: 6625, "ppocr-cls": 2}


@dataclass(frozen=True)
class Scores:
    """Against the float model over the test samples.

    ``cosine`` is the mean over samples, ``sqnr_db`` over all outputs together, ``agreement`` the
    share of equal first classes (of a recogniser: at each step), ``sure_agreement`` that among
    ``sure`` samples, ``characters`` the share of characters read right against what was written.
    ``signal`` and ``noise`` are energies of each sample.
    """

    cosine: float
    sqnr_db: float
    agreement: float | None
    sure_agreement: float | None
    sure: int
    characters: float | None
    signal: list[float]
    noise: list[float]


def scored(model: str, file: Path, expected: Array, outputs: Array, texts: list[str]) -> Scores:
    """Compare (samples, elements) of the float and of the quantized model.

    Where there are several outputs, each is scaled to the same power first.
    """
    if model == YOLO:
        expected, outputs = _levelled(file, expected, outputs)
    rows = [_row(model, row, other_row) for row, other_row in zip(expected, outputs, strict=True)]
    cosines, signal, noise, equal, sure = (list(column) for column in zip(*rows, strict=True))
    chosen = [share for share, is_sure in zip(equal, sure, strict=True) if is_sure]
    return Scores(
        cosine=float(np.mean(cosines)),
        sqnr_db=decibels(sum(signal), sum(noise)),
        agreement=float(np.mean(equal)) if model in _CLASSES else None,
        sure_agreement=float(np.mean(chosen)) if chosen else None,
        sure=len(chosen),
        characters=characters_right(texts_in(outputs, file), texts) if model == REC else None,
        signal=signal,
        noise=noise,
    )


def decibels(signal: float, noise: float) -> float:
    """Return signal to noise; infinite without noise.

    >>> decibels(100.0, 1.0)
    20.0
    """
    if noise == 0:
        return math.inf
    return 10 * math.log10(signal / noise) if signal else -math.inf


def _row(model: str, expected: Array, outputs: Array) -> tuple[float, float, float, float, bool]:
    """Return cosine, signal, noise, share of equal first classes, and if the float one is sure."""
    reference, values = np.asarray(expected, np.float64), np.asarray(outputs, np.float64)
    signal, noise = float(reference @ reference), float(((reference - values) ** 2).sum())
    lengths = math.sqrt(signal * float(values @ values))
    cosine = float(reference @ values) / lengths if lengths else 0.0
    width = _CLASSES.get(model, reference.size)
    steps, found_steps = (array.reshape(-1, width) for array in (reference, values))
    equal = float((steps.argmax(1) == found_steps.argmax(1)).mean())
    return cosine, signal, noise, equal, model == LITE0 and _first_probability(reference) > _SURE


def _levelled(file: Path, expected: Array, outputs: Array) -> tuple[Array, Array]:
    """Return both with each output divided by the root mean square of the float model's."""
    import onnx

    shapes = [value.type.tensor_type.shape for value in onnx.load(file).graph.output]
    ends = np.cumsum([math.prod(dim.dim_value for dim in shape.dim) for shape in shapes])[:-1]
    parts = np.split(np.asarray(expected, np.float64), ends, axis=1)
    powers = np.concatenate([np.full(part.shape[1], np.sqrt((part**2).mean())) for part in parts])
    return expected / powers, outputs / powers


def _first_probability(logits: Array) -> float:
    return float(1 / np.exp(logits - logits.max()).sum())
