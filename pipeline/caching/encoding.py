"""Results as files: frozen dataclasses of this package as JSON, their arrays beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_VALUE = "value.json"
_ARRAYS = "arrays.npz"
_PACKAGE = __name__.split(".")[0]
_KIND = "__kind__"


class NotStorable(Exception):
    """A value holds something that is no plain result, such as an error."""


def write_value(value: Any, folder: Path) -> None:
    """Write a value made of dataclasses of this package, plain values, paths and arrays.

    Raises NotStorable for anything else. Nothing is pickled, so reading runs no foreign code.
    """
    arrays: dict[str, NDArray[Any]] = {}
    text = json.dumps(_plain(value, arrays))
    if arrays:
        np.savez(folder / _ARRAYS, **arrays)
    (folder / _VALUE).write_text(text, encoding="utf-8")


def read_value(folder: Path) -> Any:
    """What was written there. Raises OSError or ValueError when it is damaged."""
    document = json.loads((folder / _VALUE).read_text(encoding="utf-8"))
    file = folder / _ARRAYS
    if not file.exists():
        return _made(document, {})
    with np.load(file, allow_pickle=False) as kept:
        return _made(document, kept)


def _plain(value: Any, arrays: dict[str, NDArray[Any]]) -> Any:
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        items = [_plain(one, arrays) for one in value]
        return items if isinstance(value, list) else {_KIND: "tuple", "items": items}
    if isinstance(value, Mapping):
        pairs = [[_plain(name, arrays), _plain(one, arrays)] for name, one in value.items()]
        return {_KIND: "dict", "items": pairs}
    if isinstance(value, np.ndarray):
        arrays[f"a{len(arrays)}"] = value
        return {_KIND: "array", "name": f"a{len(arrays) - 1}"}
    if isinstance(value, np.generic):
        return _plain(value.item(), arrays)
    if isinstance(value, Path):
        return {_KIND: "path", "path": str(value)}
    if is_dataclass(value) and type(value).__module__.startswith(f"{_PACKAGE}."):
        place = f"{type(value).__module__}:{type(value).__qualname__}"
        given = {one.name: _plain(getattr(value, one.name), arrays) for one in fields(value)}
        return {_KIND: place, "fields": given}
    raise NotStorable(type(value).__name__)


def _made(value: Any, arrays: Mapping[str, NDArray[Any]]) -> Any:
    if isinstance(value, list):
        return [_made(one, arrays) for one in value]
    if not isinstance(value, dict):
        return value
    kind = value[_KIND]
    if kind == "tuple":
        return tuple(_made(one, arrays) for one in value["items"])
    if kind == "dict":
        return {_made(name, arrays): _made(one, arrays) for name, one in value["items"]}
    if kind == "array":
        return arrays[value["name"]]
    if kind == "path":
        return Path(value["path"])
    return _class(kind)(**{name: _made(one, arrays) for name, one in value["fields"].items()})


def _class(place: str) -> Any:
    """A dataclass of this package, and nothing else."""
    module, _, name = place.partition(":")
    found = None
    if module.startswith(f"{_PACKAGE}."):
        found = getattr(import_module(module), name, None)
    if not isinstance(found, type) or not is_dataclass(found):
        raise ValueError(f"{place} is no result")
    return found
