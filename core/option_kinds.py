"""What values options take, in each of their spellings: one class a kind."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_LONGEST_METAVAR = 50


class Kind:
    """What values an option takes, in each of its spellings.

    ``read`` takes a word of the command line to the plain value that a recipe holds, ``load`` takes
    that to the value of the field; both raise ValueError, and ``wants`` says what they take.

    Its dataclasses have no more methods than are used, as each costs every command some start-up.
    """

    metavar: str = "TEXT"
    wants: str = "a text"
    repeats: bool = False  # on the command line, where each word adds to the value
    elsewhere: str = ""  # the hint for a value that only other verbs take

    def read(self, text: str) -> Any:
        """Return the plain value of a word."""
        return text

    def load(self, value: Any) -> Any:
        """Return the field's value."""
        return require(value, isinstance(value, str) and value)

    def joined(self, parts: Sequence[Any]) -> Any:
        """Return the plain values of several words as one: of a key that repeats, the last."""
        if isinstance(parts[0], dict):
            return {name: value for part in parts for name, value in part.items()}
        return [value for part in parts for value in part]

    def meant(self, text: str) -> str:
        """Return the word that one which is none may stand for, "" where that is not clear."""
        return ""

    @property
    def known_values(self) -> Sequence[str]:
        """Values to list in the help, where the metavar does not."""
        return ()

    def completions(self, incomplete: str) -> list[str]:
        """Return the values that a word which begins like that can become."""
        return []

    @property
    def plain_wants(self) -> str:
        """Say what ``load`` takes, where that is written in another way than words are."""
        return self.wants

    def schema(self) -> dict[str, Any]:
        """Return the JSON schema of the plain value."""
        return {"type": "string", "minLength": 1}


def beginning_with(incomplete: str, words: Iterable[str]) -> list[str]:
    """Return the words that begin like that, in upper or lower case."""
    return [word for word in words if word.lower().startswith(incomplete.lower())]


def require(value: Any, fits: object) -> Any:
    """Return the value. Raises ValueError when it does not fit."""
    if not fits:
        raise ValueError
    return value


@dataclass(eq=False, repr=False)
class Text(Kind):
    """Any text that is not empty; ``known`` gives those there are, ``forms`` are examples."""

    metavar: str = "TEXT"
    known: Callable[[], Sequence[str]] = tuple
    forms: Sequence[str] = ()

    @property
    def known_values(self) -> Sequence[str]:
        return self.known()

    def completions(self, incomplete: str) -> list[str]:
        return beginning_with(incomplete, (*self.known(), *self.forms))


class Flag(Kind):
    """Yes or no; on the command line by its name alone."""

    metavar = ""
    wants = "true or false"

    def load(self, value: Any) -> bool:
        return bool(require(value, isinstance(value, bool)))

    def schema(self) -> dict[str, Any]:
        return {"type": "boolean"}


@dataclass(eq=False, repr=False)
class Whole(Kind):
    """A whole number from ``low`` to ``high``, or up."""

    low: int
    high: float = math.inf
    metavar = "N"

    @property
    def wants(self) -> str:  # type: ignore[override]
        end = f"to {self.high}" if math.isfinite(self.high) else "up"
        return f"a whole number from {self.low} {end}"

    def read(self, text: str) -> int:
        return int(text)

    def meant(self, text: str) -> str:
        from .suggestions import meant_number

        number = meant_number(text)
        whole = number is not None and number == int(number) and self.low <= number <= self.high
        return f"{number:.0f}" if whole else ""

    def load(self, value: Any) -> int:
        whole = isinstance(value, int) and not isinstance(value, bool)
        return int(require(value, whole and self.low <= value <= self.high))

    def schema(self) -> dict[str, Any]:
        most = {"maximum": self.high} if math.isfinite(self.high) else {}
        return {"type": "integer", "minimum": self.low, **most}


@dataclass(eq=False, repr=False)
class Number(Kind):
    """A finite number from ``low`` to ``high``; ``unit`` is what it counts."""

    low: float
    high: float = math.inf
    metavar: str = "V"
    unit: str = ""

    @property
    def wants(self) -> str:  # type: ignore[override]
        end = f"to {self.high:g}" if math.isfinite(self.high) else "up"
        return f"a number from {self.low:g} {end}"

    def read(self, text: str) -> float:
        return float(text)

    def load(self, value: Any) -> float:
        return float(require(value, is_number(value) and self.low <= value <= self.high))

    def meant(self, text: str) -> str:
        from .suggestions import meant_number

        is_with_unit = self.unit and text.strip().lower().endswith(self.unit.lower())
        number = meant_number(text.strip()[: -len(self.unit)] if is_with_unit else text)
        return f"{number:g}" if number is not None and self.low <= number <= self.high else ""

    def schema(self) -> dict[str, Any]:
        most = {"maximum": self.high} if math.isfinite(self.high) else {}
        return {"type": "number", "minimum": self.low, **most}


class Share(Number):
    """A part of one, which may be said in per cent by mistake."""

    def meant(self, text: str) -> str:
        """Return the part of one: of 98 and of 98% it is 0.98.

        >>> Share(0, 1).meant("98")
        '0.98'
        """
        return super().meant(text) or super().meant(f"{text.strip()}%")


@dataclass(eq=False, repr=False)
class Choice(Kind):
    """One of a few words; ``names`` may be a function, which is called when they are asked for.

    ``other_names`` are those that others have for them, or for words that other verbs take.
    """

    names: Sequence[str] | Callable[[], Sequence[str]]
    other_names: Mapping[str, str] = field(default_factory=dict)
    elsewhere: str = ""

    @property
    def words(self) -> tuple[str, ...]:
        """The words in their order."""
        return tuple(self.names() if callable(self.names) else self.names)

    @property
    def metavar(self) -> str:  # type: ignore[override]
        listed = f"[{'|'.join(self.words)}]"
        return listed if len(listed) <= _LONGEST_METAVAR else "NAME"

    @property
    def known_values(self) -> Sequence[str]:
        return () if self.metavar.startswith("[") else self.words

    @property
    def wants(self) -> str:  # type: ignore[override]
        return f"one of {', '.join(self.words)}"

    def completions(self, incomplete: str) -> list[str]:
        return beginning_with(incomplete, self.words)

    def read(self, text: str) -> Any:
        """Return the word, which may be written in capitals here."""
        word = text.strip().lower()
        return word if word in self.words else text

    def load(self, value: Any) -> str:
        return str(require(value, value in self.words))

    def meant(self, text: str) -> str:
        """Return the word that a text is another name of, or written almost like, "" for none."""
        from .suggestions import meant_word

        word = meant_word(text, self.words, self.other_names)
        return word if word in self.words else ""

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "enum": list(self.words)}


@dataclass(eq=False, repr=False)
class File(Kind):
    """A path. A ``program`` may also be a name that is looked up on PATH.

    ``suffixes`` are those of files that fit, which completion offers beside folders.
    """

    metavar: str = "PATH"
    program: bool = False
    suffixes: Sequence[str] = ()
    wants = "a path"

    def read(self, text: str) -> str:
        """Return the path; of a program an absolute one, not resolved.

        The link is what makes a Python that of its environment.
        """
        return str(Path(text).absolute()) if self.program and "/" in text else text

    def load(self, value: Any) -> Path:
        is_path = isinstance(value, (str, Path)) and str(value) and "\0" not in str(value)
        return Path(require(value, is_path))


def is_number(value: Any) -> bool:
    """Return whether a value is a finite number, and no boolean."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and abs(value) <= sys.float_info.max  # a whole number may be above that
