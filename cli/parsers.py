"""What the values of the options look like: each function reads one, or raises typer.BadParameter.

The results are tuples with a name of their own, because Typer takes a bare ``tuple[...]`` in a
signature for an option with several values.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import typer

REPORT_FORMATS = ("json", "md", "html", "xml")


class Size(NamedTuple):
    """Height and width in pixels."""

    height: int
    width: int


class Input(NamedTuple):
    """The name of a model input and the fixed shape it is to have."""

    name: str
    shape: tuple[int, ...]


class Setting(NamedTuple):
    """A key and its value."""

    key: str
    value: str


class Values(tuple[float, ...]):
    """Numbers, one for all channels or one a channel."""


class Names(tuple[str, ...]):
    """Names of tensors, in the order given."""


def parse_size(text: str) -> Size:
    """Read a size, height first.

    >>> parse_size("48x192")
    Size(height=48, width=192)
    """
    match = re.fullmatch(r"([1-9]\d{0,5})x([1-9]\d{0,5})", text.strip().lower())
    if not match:
        raise typer.BadParameter(f"{text!r} is not HEIGHTxWIDTH in pixels, such as 48x192")
    return Size(int(match[1]), int(match[2]))


def number(low: float, high: float = math.inf) -> Callable[[str], float]:
    """A reader of one finite number from ``low`` to ``high``.

    >>> number(0, 1)("0.98")
    0.98
    """

    def read(text: str) -> float:
        with suppress(ValueError):
            if low <= (value := float(text)) <= high and math.isfinite(value):
                return value
        raise typer.BadParameter(f"{text!r} is not a number {_from(low, high)}")

    return read


def whole(low: int) -> Callable[[str], int]:
    """A reader of one whole number, ``low`` or above.

    >>> whole(1)("128")
    128
    """

    def read(text: str) -> int:
        with suppress(ValueError):
            if (value := int(text)) >= low:
                return value
        raise typer.BadParameter(f"{text!r} is not a whole number {_from(low)}")

    return read


def _from(low: float, high: float = math.inf) -> str:
    return f"from {low:g} to {high:g}" if math.isfinite(high) else f"from {low:g} up"


def parse_values(text: str) -> Values:
    """Read one number, or several with commas between them.

    >>> parse_values("123.675,116.28,103.53")
    (123.675, 116.28, 103.53)
    """
    try:
        values = Values(float(part) for part in text.split(","))
    except ValueError:
        values = Values()
    if not values or not all(map(math.isfinite, values)):
        raise typer.BadParameter(f"{text!r} is not numbers such as 127.5 or 123.675,116.28,103.53")
    return values


def parse_divisors(text: str) -> Values:
    """Read numbers to divide by, such as standard deviations: all above 0.

    >>> parse_divisors("58.395")
    (58.395,)
    """
    values = parse_values(text)
    if min(values) <= 0:
        raise typer.BadParameter(f"{text!r}: every value has to be above 0, as it divides")
    return values


def parse_input(text: str) -> Input:
    """Read a model input and its shape; the name itself may hold an equals sign or a colon.

    >>> parse_input("x=1x3x48x192")
    Input(name='x', shape=(1, 3, 48, 192))
    """
    name, _, shape = text.rpartition("=")
    if not name.strip() or not re.fullmatch(r"[1-9]\d*(x[1-9]\d*)*", shape.strip().lower()):
        raise typer.BadParameter(f"{text!r} is not NAME=SHAPE, such as x=1x3x48x320")
    return Input(name.strip(), tuple(int(length) for length in shape.lower().split("x")))


def parse_names(text: str) -> Names:
    """Read tensor names with commas between them.

    >>> parse_names("boxes, scores")
    ('boxes', 'scores')
    """
    names = Names(part.strip() for part in text.split(","))
    if not all(names) or len(set(names)) < len(names):
        raise typer.BadParameter(f"{text!r} is not NAME,NAME,... with each name once")
    return names


def parse_setting(text: str) -> Setting:
    """Read a key and its value, which may hold anything.

    >>> parse_setting("charset=keys=1.txt")
    Setting(key='charset', value='keys=1.txt')
    """
    key, equals, value = text.partition("=")
    if not key.strip() or not equals or not value.strip():
        raise typer.BadParameter(f"{text!r} is not KEY=VALUE, such as charset=keys.txt")
    return Setting(key.strip(), value.strip())


def parse_report(text: str) -> Path:
    """Read the path of a report, whose suffix says in which format to write it.

    >>> parse_report("build/report.md").name
    'report.md'
    """
    path = Path(text)
    if path.suffix.lower().lstrip(".") not in REPORT_FORMATS:
        formats = ", ".join(f".{name}" for name in REPORT_FORMATS)
        raise typer.BadParameter(f"{text!r} does not end in one of {formats}")
    return path
