"""What a text recogniser reads, and how much of it is right."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

_BLANK = 0


def vocabulary(file: Path) -> list[str]:
    """The characters of a PP-OCR model by class: the blank, those in its metadata, the space."""
    import onnx

    properties = {one.key: one.value for one in onnx.load(str(file)).metadata_props}
    return ["", *properties["character"].split("\n"), " "]


def read_text(steps: NDArray[Any], known: Sequence[str]) -> str:
    """The best class of each step, repetitions and blanks left out (greedy CTC decoding).

    ``steps`` is (steps, classes).

    >>> import numpy as np
    >>> read_text(np.eye(3)[[1, 1, 0, 1, 2, 2]], ["", "a", "b"])
    'aab'
    """
    best = [int(one) for one in steps.argmax(1)]
    before = [_BLANK, *best[:-1]]
    return "".join(known[one] for one, last in zip(best, before, strict=True) if one != last)


def characters_right(read: Sequence[str], written: Sequence[str]) -> float:
    """One minus edits per character written, spaces aside; not below 0.

    >>> characters_right(["he1lo", "a b"], ["hello", "ab"])
    0.8571428571428572
    """
    pairs = [
        (one.replace(" ", ""), other.replace(" ", ""))
        for one, other in zip(read, written, strict=True)
    ]
    edits = sum(_edits(one, other) for one, other in pairs)
    return max(0.0, 1 - edits / sum(len(other) for _, other in pairs))


def _edits(one: str, other: str) -> int:
    """Levenshtein's distance: insertions, deletions and replacements.

    >>> _edits("kitten", "sitting")
    3
    """
    row = list(range(len(other) + 1))
    for i, left in enumerate(one, start=1):
        corner, row[0] = row[0], i
        for j, right in enumerate(other, start=1):
            corner, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, corner + (left != right))
    return row[-1]
