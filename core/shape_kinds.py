"""What values options take that are sizes and shapes, in each of their spellings."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from .list_kinds import table_of
from .option_kinds import Kind, Whole, require

# the shape of an input, or several that it may have
InputShapes = tuple[int, ...] | tuple[tuple[int, ...], ...]
_SIZE = r"[1-9]\d{0,5}x[1-9]\d{0,5}"
_LENGTHS: dict[str, Any] = {
    "type": "array",
    "items": {"type": "integer", "minimum": 1},
    "minItems": 1,
}


class Size(Kind):
    """Height and width in pixels."""

    metavar = "HxW"
    wants = "HEIGHTxWIDTH in pixels, such as 48x192"
    plain_wants = "[HEIGHT, WIDTH] in pixels, such as [48, 192]"

    def read(self, text: str) -> list[int]:
        match = re.fullmatch(_SIZE, text.strip().lower())
        require(text, match)
        return [int(part) for part in text.strip().lower().split("x")]

    def meant(self, text: str) -> str:
        """Return the size of a square for one number, and of two with another sign between them.

        >>> Size().meant("224"), Size().meant("[48, 192]")
        ('224x224', '48x192')
        """
        from .suggestions import meant_numbers

        lengths = meant_numbers(text)
        size = "x".join(2 * lengths if len(lengths) == 1 else lengths)
        return size if re.fullmatch(_SIZE, size) else ""

    def load(self, value: Any) -> tuple[int, int]:
        height, width = _lengths(value)
        return height, width

    def schema(self) -> dict[str, Any]:
        return {**_LENGTHS, "minItems": 2, "maxItems": 2}


class Shapes(Kind):
    """Shapes of inputs by name, several with commas between them, or where a name is repeated.

    The name itself may hold an equals sign or a colon.
    """

    metavar = "NAME=SHAPE,..."
    wants = "NAME=SHAPE, such as x=1x3x48x320"
    plain_wants = "a table of shapes or of lists of shapes, such as x = [1, 3, 48, 320]"
    repeats = True

    def read(self, text: str) -> dict[str, list[Any]]:
        name, _, shapes = text.rpartition("=")
        parts = [shape.strip().lower() for shape in shapes.split(",")]
        require(text, name.strip())
        require(text, all(re.fullmatch(r"[1-9]\d*(x[1-9]\d*)*", part) for part in parts))
        return {name.strip(): _alone([list(map(int, part.split("x"))) for part in parts])}

    def joined(self, parts: Sequence[Mapping[str, list[Any]]]) -> dict[str, list[Any]]:
        shapes: dict[str, list[Any]] = {}
        for part in parts:
            for name, value in part.items():
                shapes.setdefault(name, []).extend(value if _is_nested(value) else [value])
        return {name: _alone(several) for name, several in shapes.items()}

    def load(self, value: Any) -> Mapping[str, InputShapes]:
        return {name: _shapes(shapes) for name, shapes in table_of(value).items()}

    def schema(self) -> dict[str, Any]:
        several = {"type": "array", "items": dict(_LENGTHS), "minItems": 1}
        return {"type": "object", "additionalProperties": {"anyOf": [dict(_LENGTHS), several]}}


def _is_nested(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and isinstance(next(iter(value), 0), (list, tuple))


def _alone(shapes: list[Any]) -> list[Any]:
    """Return the only shape of a list, or the list."""
    first: list[Any] = shapes[0]
    return first if len(shapes) == 1 else shapes


def _shapes(value: Any) -> InputShapes:
    if not _is_nested(value):
        return _lengths(value)
    shapes = tuple(map(_lengths, value))
    return shapes if len(shapes) > 1 else shapes[0]


def _lengths(value: Any) -> tuple[int, ...]:
    require(value, isinstance(value, (list, tuple)) and value)
    return tuple(Whole(1).load(length) for length in value)
