"""Plain data, as one of our files holds it, read as the dataclasses that it was written from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

T = TypeVar("T")

_LONGEST = 60  # characters of a value that are shown
_KINDS = {
    "float_type": "a number",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "string_type": "text",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a table",
    "mapping_type": "a table",
    "dataclass_type": "a table",
    "finite_number": "a finite number",
}


class Malformed(ValueError):
    """The place in the data, the value seen there, and why it is none that can be."""


def validated(
    kind: type[T],
    document: object,
    *,
    closed: bool = False,
    finite: bool = True,
    names: Mapping[str, str] | None = None,
) -> T:
    """Return a ``document`` of JSON or TOML as the dataclass ``kind``, each value's type checked.

    ``names`` are those fields that have another name in the document. Keys that no field has are
    left out, or with ``closed`` refused. Raises Malformed for the first value of another type, for
    a key that is missing, and with ``finite`` for NaN and infinities.

    >>> from .diagnostics import Diagnostic
    >>> validated(Diagnostic, {"code": "a", "text": "b"}).text
    'b'
    >>> validated(Diagnostic, {"code": "a", "text": 3})
    Traceback (most recent call last):
    rockpress.core.validation.Malformed: text is 3, not text
    """
    from pydantic import ConfigDict, TypeAdapter, ValidationError

    config = ConfigDict(
        extra="forbid" if closed else "ignore",
        allow_inf_nan=not finite,
        alias_generator=lambda name: (names or {}).get(name, name),
        arbitrary_types_allowed=True,
    )
    try:
        # a list hands its configuration on to the dataclasses in it; JSON has no tuples, so that
        # only there a list may be one while everything else is taken strictly
        return TypeAdapter(list[kind], config=config).validate_json(  # type: ignore[valid-type]
            json.dumps([document], default=str), strict=True
        )[0]
    except ValidationError as error:
        raise Malformed(_text(error.errors(include_url=False), document)) from None


def require(holds: bool, key: str, value: object, expected: str) -> None:
    """Raise Malformed with the ``key`` and its ``value`` unless it ``holds`` what is expected.

    >>> require(False, "scale", -0.5, "a number above 0")
    Traceback (most recent call last):
    rockpress.core.validation.Malformed: scale is -0.5, not a number above 0
    """
    if not holds:
        raise Malformed(f"{key} is {shown(value)}, not {expected}")


def shown(value: object) -> str:
    """Return a value in a few characters, as it stands in the file.

    >>> shown(True), shown("x"), shown([1.5, None])
    ('true', '"x"', '[1.5, null]')
    """
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def path_text(keys: Sequence[str | int]) -> str:
    """Return the place of a value in words.

    >>> path_text(["targets", 0, "models"])
    'targets[0].models'
    """
    parts = (f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys)
    return "".join(parts).removeprefix(".")


def _text(errors: Sequence[ErrorDetails], document: object) -> str:
    """Say in words of ours what is wrong where, of the first place that is.

    Where a value may be of several types there is an error for each: the one that came farthest
    into the value counts, and what all of them expect at the same place.
    """
    places = [_keys_in(document, error) for error in errors]
    beside = [
        (k, e) for k, e in zip(places, errors, strict=True) if k[: len(places[0])] == places[0]
    ]
    keys, error = max(beside, key=lambda pair: len(pair[0]))
    if error["type"] == "missing":
        return f"{path_text(keys[:-1]) or 'it'} has no {keys[-1]}"
    if error["type"] == "unexpected_keyword_argument":
        return f"{path_text(keys)} is no key of it"
    expected = dict.fromkeys(_expected(each) for place, each in beside if place == keys)
    return f"{path_text(keys) or 'it'} is {shown(error['input'])}, not {' or '.join(expected)}"


def _expected(error: ErrorDetails) -> str:
    expected = error.get("ctx", {}).get("expected", "what it has to be")
    return _KINDS.get(error["type"], str(expected))


def _keys_in(document: object, error: ErrorDetails) -> list[str | int]:
    """Return the path to the place of an error, without what pydantic says of types in it."""
    keys: list[str | int] = []
    place: Any = [document]
    for key in error["loc"]:
        try:
            place = place[key]
        except (KeyError, IndexError, TypeError):
            continue
        keys.append(key)
    return [*keys[1:], *(error["loc"][-1:] if error["type"] == "missing" else ())]
