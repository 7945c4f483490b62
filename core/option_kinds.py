"""What values options take, in each of their spellings: one class a kind."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class Kind:
    """What values an option takes, in each of its spellings.

    ``read`` takes a word of the command line to the plain value that a recipe holds, ``load`` takes
    that to the value of the field; both raise ValueError, and ``wants`` says what they take.
    """

    metavar: str = "TEXT"
    wants: str = "a text"
    repeats: bool = False  # on the command line, where each word adds to the value

    def read(self, text: str) -> Any:
        """Return the plain value of a word."""
        return text

    def load(self, value: Any) -> Any:
        """Return the field's value."""
        return _require(value, isinstance(value, str) and value)

    @property
    def plain_wants(self) -> str:
        """Say what ``load`` takes, where that is written in another way than words are."""
        return self.wants

    def schema(self) -> dict[str, Any]:
        """Return the JSON schema of the plain value."""
        return {"type": "string", "minLength": 1}


def _require(value: Any, fits: object) -> Any:
    if not fits:
        raise ValueError
    return value


@dataclass(frozen=True)
class Text(Kind):
    """Any text that is not empty."""

    metavar: str = "TEXT"


class Flag(Kind):
    """Yes or no; on the command line by its name alone."""

    metavar = ""
    wants = "true or false"

    def load(self, value: Any) -> bool:
        """Return the value, which must be a boolean."""
        return bool(_require(value, isinstance(value, bool)))

    def schema(self) -> dict[str, Any]:
        """Return the schema of a boolean."""
        return {"type": "boolean"}


@dataclass(frozen=True)
class Whole(Kind):
    """A whole number, ``low`` or above."""

    low: int
    metavar = "N"

    @property
    def wants(self) -> str:  # type: ignore[override]
        """Say which numbers."""
        return f"a whole number from {self.low} up"

    def read(self, text: str) -> int:
        """Return the number."""
        return int(text)

    def load(self, value: Any) -> int:
        """Return the number when it is in range."""
        whole = isinstance(value, int) and not isinstance(value, bool)
        return int(_require(value, whole and value >= self.low))

    def schema(self) -> dict[str, Any]:
        """Return the schema of a bounded integer."""
        return {"type": "integer", "minimum": self.low}


@dataclass(frozen=True)
class Number(Kind):
    """A finite number from ``low`` to ``high``."""

    low: float
    high: float = math.inf
    metavar: str = "V"

    @property
    def wants(self) -> str:  # type: ignore[override]
        """Say which numbers."""
        end = f"to {self.high:g}" if math.isfinite(self.high) else "up"
        return f"a number from {self.low:g} {end}"

    def read(self, text: str) -> float:
        """Return the number."""
        return float(text)

    def load(self, value: Any) -> float:
        """Return the number when it is in range."""
        return float(_require(value, _is_number(value) and self.low <= value <= self.high))

    def schema(self) -> dict[str, Any]:
        """Return the schema of a bounded number."""
        most = {"maximum": self.high} if math.isfinite(self.high) else {}
        return {"type": "number", "minimum": self.low, **most}


@dataclass(frozen=True)
class Choice(Kind):
    """One of a few words; ``names`` may be a function, which is called when they are asked for."""

    names: Sequence[str] | Callable[[], Sequence[str]]

    @property
    def words(self) -> tuple[str, ...]:
        """The words in their order."""
        return tuple(self.names() if callable(self.names) else self.names)

    @property
    def metavar(self) -> str:  # type: ignore[override]
        """Show the words."""
        return f"[{'|'.join(self.words)}]"

    @property
    def wants(self) -> str:  # type: ignore[override]
        """Say which words."""
        return f"one of {', '.join(self.words)}"

    def load(self, value: Any) -> str:
        """Return the word when it is one of them."""
        return str(_require(value, value in self.words))

    def schema(self) -> dict[str, Any]:
        """Return the schema of an enumeration."""
        return {"enum": list(self.words)}


@dataclass(frozen=True)
class File(Kind):
    """A path. A ``program`` may also be a name that is looked up on PATH."""

    metavar: str = "PATH"
    program: bool = False
    wants = "a path"

    def read(self, text: str) -> str:
        """Return the path; of a program an absolute one, not resolved.

        The link is what makes a Python that of its environment.
        """
        return str(Path(text).absolute()) if self.program and "/" in text else text

    def load(self, value: Any) -> Path:
        """Return the path."""
        return Path(_require(value, isinstance(value, (str, Path)) and str(value)))


@dataclass(frozen=True)
class Numbers(Kind):
    """One number for all channels, or one a channel; all above ``above``."""

    above: float = -math.inf
    metavar = "V[,V,V]"

    @property
    def wants(self) -> str:  # type: ignore[override]
        """Say which numbers."""
        more = ", all above 0" if self.above == 0 else ""
        return f"numbers such as 127.5 or 123.675,116.28,103.53{more}"

    @property
    def plain_wants(self) -> str:
        """Say what a recipe holds."""
        return "a number, or a list of one a channel" + (", all above 0" if self.above == 0 else "")

    def read(self, text: str) -> list[float]:
        """Return the numbers between commas."""
        return [float(part) for part in text.split(",")]

    def load(self, value: Any) -> tuple[float, ...]:
        """Return the numbers; a single one stands for itself."""
        numbers = list(value) if isinstance(value, (list, tuple)) else [value]
        fits = numbers and all(_is_number(number) and number > self.above for number in numbers)
        _require(value, fits)
        return tuple(map(float, numbers))

    def schema(self) -> dict[str, Any]:
        """Return the schema of a number or a list of them."""
        limit = {"exclusiveMinimum": self.above} if math.isfinite(self.above) else {}
        number = {"type": "number", **limit}
        return {"anyOf": [number, {"type": "array", "items": number}]}


@dataclass(frozen=True)
class Names(Kind):
    """Texts: with commas between them, each once, or one a word where the option ``repeats``."""

    metavar: str = "NAME,..."
    repeats: bool = False

    @property
    def wants(self) -> str:  # type: ignore[override]
        """Say what separates them."""
        return "a name" if self.repeats else "NAME,NAME,... with each name once"

    @property
    def plain_wants(self) -> str:
        """Say what a recipe holds."""
        return "a text, or a list of texts" if self.repeats else "a list of texts, each once"

    def read(self, text: str) -> list[str]:
        """Return the names between commas."""
        return [text] if self.repeats else [part.strip() for part in text.split(",")]

    def load(self, value: Any) -> tuple[str, ...]:
        """Return the names; a single one stands for itself."""
        names = list(value) if isinstance(value, (list, tuple)) else [value]
        fits = all(isinstance(name, str) and name for name in names)
        _require(value, fits and (self.repeats or len(set(names)) == len(names)))
        return tuple(names)

    def schema(self) -> dict[str, Any]:
        """Return the schema of a text or a list of them."""
        text = {"type": "string", "minLength": 1}
        several = {"type": "array", "items": text}
        return {"anyOf": [text, several]} if self.repeats else several


class Size(Kind):
    """Height and width in pixels."""

    metavar = "HxW"
    wants = "HEIGHTxWIDTH in pixels, such as 48x192"

    @property
    def plain_wants(self) -> str:
        """Say what a recipe holds."""
        return "[HEIGHT, WIDTH] in pixels, such as [48, 192]"

    def read(self, text: str) -> list[int]:
        """Return height and width."""
        match = re.fullmatch(r"([1-9]\d{0,5})x([1-9]\d{0,5})", text.strip().lower())
        _require(text, match)
        return [int(part) for part in text.strip().lower().split("x")]

    def load(self, value: Any) -> tuple[int, int]:
        """Return height and width."""
        height, width = _lengths(value)
        return height, width

    def schema(self) -> dict[str, Any]:
        """Return the schema of two lengths."""
        return {**_LENGTHS, "minItems": 2, "maxItems": 2}


class Shapes(Kind):
    """Shapes of inputs by name; the name itself may hold an equals sign or a colon."""

    metavar = "NAME=SHAPE"
    wants = "NAME=SHAPE, such as x=1x3x48x320"
    repeats = True

    @property
    def plain_wants(self) -> str:
        """Say what a recipe holds."""
        return "a table of shapes, such as x = [1, 3, 48, 320]"

    def read(self, text: str) -> dict[str, list[int]]:
        """Return one input and its shape."""
        name, _, shape = text.rpartition("=")
        shape = shape.strip().lower()
        _require(text, name.strip() and re.fullmatch(r"[1-9]\d*(x[1-9]\d*)*", shape))
        return {name.strip(): [int(length) for length in shape.split("x")]}

    def load(self, value: Any) -> Mapping[str, tuple[int, ...]]:
        """Return the shapes by name."""
        return {name: _lengths(shape) for name, shape in _table(value).items()}

    def schema(self) -> dict[str, Any]:
        """Return the schema of a table of shapes."""
        return {"type": "object", "additionalProperties": dict(_LENGTHS)}


class Settings(Kind):
    """Values by key, which may hold anything."""

    metavar = "KEY=VALUE"
    wants = "KEY=VALUE, such as charset=keys.txt"
    repeats = True

    @property
    def plain_wants(self) -> str:
        """Say what a recipe holds."""
        return "a table of texts"

    def read(self, text: str) -> dict[str, str]:
        """Return one setting."""
        key, _, value = text.partition("=")
        _require(text, key.strip() and value.strip())
        return {key.strip(): value.strip()}

    def load(self, value: Any) -> Mapping[str, str]:
        """Return the settings."""
        fits = all(isinstance(setting, str) for setting in _table(value).values())
        return dict(_require(value, fits) and value)

    def schema(self) -> dict[str, Any]:
        """Return the schema of a table of texts."""
        return {"type": "object", "additionalProperties": {"type": "string"}}


@dataclass(frozen=True)
class Shares(Kind):
    """Parts of one for some of a few names, written in per cent on the command line."""

    names: tuple[str, ...]
    metavar = "NAME=N%"
    repeats = True

    @property
    def wants(self) -> str:  # type: ignore[override]
        """Say which names."""
        return f"NAME=N%, such as cycles=2%; a name is one of {', '.join(self.names)}"

    @property
    def plain_wants(self) -> str:
        """Say what a recipe holds."""
        return f"a table of numbers from 0 up, with the names {', '.join(self.names)}"

    def read(self, text: str) -> dict[str, float]:
        """Return one name and its share."""
        name, _, share = text.strip().partition("=")
        match = re.fullmatch(r"(\d{1,4}(?:\.\d{1,6})?)%", share)
        _require(text, match)
        return {name: float(share[:-1]) / 100}

    def load(self, value: Any) -> Mapping[str, float]:
        """Return the shares by name."""
        for name, share in _table(value).items():
            _require(value, name in self.names and _is_number(share) and share >= 0)
        return {name: float(share) for name, share in value.items()}

    def schema(self) -> dict[str, Any]:
        """Return the schema of a table of shares."""
        names = {"enum": list(self.names)}
        number = {"type": "number", "minimum": 0}
        return {"type": "object", "propertyNames": names, "additionalProperties": number}


_LENGTHS: dict[str, Any] = {"type": "array", "items": {"type": "integer", "minimum": 1}}


def _is_number(value: Any) -> bool:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and math.isfinite(value)


def _lengths(value: Any) -> tuple[int, ...]:
    _require(value, isinstance(value, (list, tuple)))
    return tuple(Whole(1).load(length) for length in value)


def _table(value: Any) -> Mapping[Any, Any]:
    _require(value, isinstance(value, Mapping) and all(isinstance(name, str) for name in value))
    return dict(value)
