"""Texts in files: read up to a size, as classes or as numbers, and in the order of a person."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core import text_files
from ...core.errors import SamplesError
from ...core.text_files import BrokenText, UnreadableFile

_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?", re.IGNORECASE | re.ASCII)
_SHOWN = 40
# A list of a million paths of 250 characters; anything larger is not a list.
MAX_LIST_BYTES = 256 * 2**20

NaturalKey = tuple[tuple[tuple[int, int, str], ...], str]


def classes_of(
    texts: Sequence[Any] | NDArray[Any], origin: Callable[[int], str]
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Return class indices (M,) and names: integers as they are, names in natural order.

    Raises SamplesError, with ``origin`` of the text, for a number that is no class index.

    >>> classes_of(("n10", "n9", "n10"), str)
    (array([1, 0, 1]), ('n9', 'n10'))
    """
    numeric = [bool(_NUMBER.fullmatch(text)) for text in texts]
    if not any(numeric):
        names = sorted({str(text) for text in texts}, key=natural_key)
        indices = {name: index for index, name in enumerate(names)}
        return np.array([indices[text] for text in texts], dtype=np.int64), tuple(names)
    for index, text in enumerate(texts):
        if not re.fullmatch(r"\+?[0-9]{1,18}", text):
            raise SamplesError(
                f"{origin(index)}: the label {short(text)} is not a non-negative integer",
                "use class indices from 0, or names in every row",
            )
    return np.array([int(text) for text in texts], dtype=np.int64), ()


def vectors_of(
    texts: Sequence[Any] | NDArray[Any], origin: Callable[[int], str]
) -> NDArray[np.float64]:
    """Return numbers (M, D). Raises SamplesError for a text with fewer or more than the first.

    >>> vectors_of(("1.5 2", "3;4e1"), str).tolist()
    [[1.5, 2.0], [3.0, 40.0]]
    """
    rows = [re.split(r"[\s,;]+", text.strip()) for text in texts]
    for index, row in enumerate(rows):
        if len(row) != len(rows[0]) or not all(map(_NUMBER.fullmatch, row)):
            raise SamplesError(
                f"{origin(index)}: the label {short(texts[index])} is not {len(rows[0])} numbers",
                "give every sample as many numbers, with spaces between",
            )
    return np.array(rows, dtype=np.float64)


def short(text: str) -> str:
    """Return the text in quotes, cut where it is long."""
    return repr(text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "...")


def natural_key(text: str) -> NaturalKey:
    """Return a sort key in which runs of digits compare as numbers, letters without case.

    >>> sorted(["img10", "img2", "Img1"], key=natural_key)
    ['Img1', 'img2', 'img10']
    """
    parts = re.split(r"([0-9]+)", text)
    # the text itself comes last, so that two names never tie ("1" and "01", "a" and "A")
    return tuple(_part_key(part) for part in parts if part), text


def _part_key(part: str) -> tuple[int, int, str]:
    if part[0] in "0123456789":
        # length first compares as numbers do, and has no limit on the number of digits
        digits = part.lstrip("0")
        return 0, len(digits), digits
    return 1, 0, part.casefold()


def read_text(path: Path) -> str:
    """Read a list in UTF-8 of bounded size. Raises SamplesError."""
    try:
        return text_files.read_text(path, MAX_LIST_BYTES)
    except BrokenText as error:
        raise SamplesError(f"{path}: not a text file in UTF-8", "save it as UTF-8") from error
    except UnreadableFile as error:
        raise SamplesError(f"{path}: {error}", "check the path and the file") from error
