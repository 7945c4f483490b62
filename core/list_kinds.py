"""What values options take that are lists and tables, in each of their spellings."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .option_kinds import Choice, Kind, beginning_with, is_number, require

_PERCENT = r"\d{1,4}(?:\.\d{1,6})?"
_FACTOR = re.compile(r"(?<![\d.])1(?:\.0)?/(?=\d)")


@dataclass(eq=False, repr=False)
class Numbers(Kind):
    """One number for all channels, or one a channel; all above ``above``."""

    above: float = -math.inf
    metavar = "V[,V,V]"

    @property
    def wants(self) -> str:  # type: ignore[override]
        more = ", all above 0" if self.above == 0 else ""
        return f"numbers such as 127.5 or 123.675,116.28,103.53{more}"

    @property
    def plain_wants(self) -> str:
        return "a number, or a list of one a channel" + (", all above 0" if self.above == 0 else "")

    def read(self, text: str) -> list[float]:
        return [float(part) for part in text.split(",")]

    def meant(self, text: str) -> str:
        from .suggestions import meant_numbers

        if self.above == 0:  # what pixels are multiplied with
            text = _FACTOR.sub("", text)
        numbers = meant_numbers(text)
        return ",".join(numbers) if all(float(number) > self.above for number in numbers) else ""

    def load(self, value: Any) -> tuple[float, ...]:
        numbers = list(value) if isinstance(value, (list, tuple)) else [value]
        fits = numbers and all(is_number(number) and number > self.above for number in numbers)
        require(value, fits)
        return tuple(map(float, numbers))

    def schema(self) -> dict[str, Any]:
        limit = {"exclusiveMinimum": self.above} if math.isfinite(self.above) else {}
        number = {"type": "number", **limit}
        return {"anyOf": [number, {"type": "array", "items": number}]}


@dataclass(eq=False, repr=False)
class Names(Kind):
    """Texts, each once with ``commas`` between them; without, one a word, as names may hold them.

    The words of an option that ``repeats`` are added up.
    """

    metavar: str = "NAME,..."
    repeats: bool = False
    commas: bool = True
    least: int = 0
    known: Callable[[], Sequence[str]] = tuple

    @property
    def known_values(self) -> Sequence[str]:
        return self.known()

    def completions(self, incomplete: str) -> list[str]:
        return beginning_with(incomplete, self.known())

    @property
    def wants(self) -> str:  # type: ignore[override]
        return "NAME,NAME,... with each name once" if self.commas else "a name"

    @property
    def plain_wants(self) -> str:
        return "a list of texts, each once" if self.commas else "a text, or a list of texts"

    def read(self, text: str) -> list[str]:
        return [part.strip() for part in text.split(",")] if self.commas else [text]

    def load(self, value: Any) -> tuple[str, ...]:
        names = list(value) if isinstance(value, (list, tuple)) else [value]
        fits = len(names) >= self.least and all(isinstance(name, str) and name for name in names)
        require(value, fits and (not self.commas or len(set(names)) == len(names)))
        return tuple(names)

    def schema(self) -> dict[str, Any]:
        text = {"type": "string", "minLength": 1}
        several: dict[str, Any] = {"type": "array", "items": text}
        several |= {"minItems": self.least} if self.least else {}
        return several if self.commas else {"anyOf": [text, several]}


@dataclass(eq=False, repr=False)
class Choices(Choice):
    """Some of a few words, one a word of the command line."""

    repeats = True

    @property
    def plain_wants(self) -> str:
        return f"a list of {', '.join(self.words)}"

    def read(self, text: str) -> list[str]:
        return [super().read(text)]

    def load(self, value: Any) -> tuple[str, ...]:  # type: ignore[override]
        names = list(value) if isinstance(value, (list, tuple)) else [value]
        return tuple(super(Choices, self).load(name) for name in names)

    def schema(self) -> dict[str, Any]:
        word = super().schema()
        return {"anyOf": [word, {"type": "array", "items": word}]}


class Values(Kind):
    """Numbers by name; the name itself may hold an equals sign or a colon."""

    metavar = "NAME=VALUE"
    wants = "NAME=VALUE, such as sr=16000"
    plain_wants = "a table of numbers, such as sr = 16000"
    repeats = True

    def read(self, text: str) -> dict[str, float]:
        name, _, value = text.rpartition("=")
        require(text, name.strip())
        return {name.strip(): float(value)}

    def load(self, value: Any) -> Mapping[str, float]:
        table = table_of(value)
        require(value, all(is_number(number) for number in table.values()))
        return {name: float(number) for name, number in table.items()}

    def schema(self) -> dict[str, Any]:
        return {"type": "object", "additionalProperties": {"type": "number"}}


class Settings(Kind):
    """Values by key, which may hold anything."""

    metavar = "KEY=VALUE"
    wants = "KEY=VALUE, such as charset=keys.txt"
    plain_wants = "a table of texts, numbers, true and false"
    repeats = True

    def read(self, text: str) -> dict[str, str]:
        key, _, value = text.partition("=")
        require(text, key.strip() and value.strip())
        return {key.strip(): value.strip()}

    def load(self, value: Any) -> Mapping[str, str]:
        return {key: _setting(setting) for key, setting in table_of(value).items()}

    def schema(self) -> dict[str, Any]:
        types = ["string", "number", "boolean"]
        return {"type": "object", "additionalProperties": {"type": types}}


class PlainValues(Kind):
    """Values by key: what JSON has for it, and text where it is no JSON."""

    metavar = "KEY=VALUE"
    wants = "KEY=VALUE, such as single_core_mode=true"
    plain_wants = "a table of true, false, numbers, texts, or lists and tables of these"
    repeats = True

    def read(self, text: str) -> dict[str, Any]:
        key, _, value = text.partition("=")
        require(text, key.strip() and value.strip())
        return {key.strip(): _json_or_text(value.strip())}

    def load(self, value: Any) -> Mapping[str, Any]:
        return {key: _plain(setting) for key, setting in table_of(value).items()}

    def schema(self) -> dict[str, Any]:
        return {"type": "object", "additionalProperties": {"not": {"type": "null"}}}


@dataclass(eq=False, repr=False)
class Shares(Kind):
    """Parts of one for some of a few names, written in per cent on the command line."""

    names: tuple[str, ...]
    metavar = "NAME=N%"
    repeats = True

    @property
    def wants(self) -> str:  # type: ignore[override]
        return f"NAME=N%, such as cycles=2%; a name is one of {', '.join(self.names)}"

    @property
    def plain_wants(self) -> str:
        return f"a table of numbers from 0 up, with the names {', '.join(self.names)}"

    def read(self, text: str) -> dict[str, float]:
        name, _, share = text.strip().partition("=")
        match = re.fullmatch(f"{_PERCENT}%", share)
        require(text, match and name in self.names)
        return {name: float(share[:-1]) / 100}

    def meant(self, text: str) -> str:
        """Return it with a name that there is, and the sign of per cent.

        >>> Shares(("size", "cycles")).meant("cycle=2")
        'cycles=2%'
        """
        from .suggestions import meant_word

        name, _, share = text.replace(" ", "").partition("=")
        name, percent = meant_word(name, self.names), share.lstrip("+").removesuffix("%")
        return f"{name}={percent}%" if name and re.fullmatch(_PERCENT, percent) else ""

    def completions(self, incomplete: str) -> list[str]:
        return beginning_with(incomplete, (f"{name}=2%" for name in self.names))

    def load(self, value: Any) -> Mapping[str, float]:
        for name, share in table_of(value).items():
            require(value, name in self.names and is_number(share) and share >= 0)
        return {name: float(share) for name, share in value.items()}

    def schema(self) -> dict[str, Any]:
        names = {"enum": list(self.names)}
        number = {"type": "number", "minimum": 0}
        return {"type": "object", "propertyNames": names, "additionalProperties": number}


def _json_or_text(text: str) -> Any:
    """Return the value of a JSON text, or the text; Python's spelling of true and false counts."""
    try:
        return json.loads({"True": "true", "False": "false"}.get(text, text))
    except ValueError:
        return text


def _plain(value: Any) -> Any:
    """Return a value that is made of tables, lists, texts, numbers and truth values alone."""
    if isinstance(value, Mapping):
        return {key: _plain(part) for key, part in table_of(value).items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    return require(value, isinstance(value, (bool, str)) or is_number(value))


def _setting(value: Any) -> str:
    """Return the text of a value as the command line has it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(require(value, isinstance(value, str) or is_number(value)))


def table_of(value: Any) -> Mapping[Any, Any]:
    """Return a table with texts as keys. Raises ValueError for anything else."""
    require(value, isinstance(value, Mapping) and all(isinstance(name, str) for name in value))
    return dict(value)
