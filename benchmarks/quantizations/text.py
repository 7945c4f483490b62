"""What a text recogniser reads, and how much of it is right."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

_BLANK = 0


def vocabulary(file: Path) -> list[str]:
    """Return the characters of a PP-OCR model by class: blank, those in its metadata, space."""
    import onnx

    properties = {entry.key: entry.value for entry in onnx.load(str(file)).metadata_props}
    return ["", *properties["character"].split("\n"), " "]


def read_text(steps: NDArray[Any], alphabet: Sequence[str]) -> str:
    """Return the best class of each step without repetitions and blanks (greedy CTC decoding).

    ``steps`` is (steps, classes).

    >>> import numpy as np
    >>> read_text(np.eye(3)[[1, 1, 0, 1, 2, 2]], ["", "a", "b"])
    'aab'
    """
    best = [int(step) for step in steps.argmax(1)]
    before = [_BLANK, *best[:-1]]
    return "".join(alphabet[step] for step, last in zip(best, before, strict=True) if step != last)


def texts_in(outputs: NDArray[Any], file: Path) -> list[str]:
    """Return what outputs (samples, elements) of the PP-OCR model in a file say."""
    alphabet = vocabulary(file)
    return [read_text(output.reshape(-1, len(alphabet)), alphabet) for output in outputs]


def characters_right(read: Sequence[str], written: Sequence[str]) -> float:
    """Return one minus edits per character written, spaces aside; not below 0.

    >>> characters_right(["he1lo", "a b"], ["hello", "ab"])
    0.8571428571428572
    """
    pairs = [
        (text.replace(" ", ""), truth.replace(" ", ""))
        for text, truth in zip(read, written, strict=True)
    ]
    total = sum(edits(text, truth) for text, truth in pairs)
    return max(0.0, 1 - total / sum(len(truth) for _, truth in pairs))


def edits(text: str, other: str) -> int:
    """Return Levenshtein's distance: insertions, deletions and replacements.

    >>> edits("kitten", "sitting")
    3
    """
    row = list(range(len(other) + 1))
    for i, left in enumerate(text, start=1):
        corner, row[0] = row[0], i
        for j, right in enumerate(other, start=1):
            corner, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, corner + (left != right))
    return row[-1]
