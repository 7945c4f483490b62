"""Results as files: frozen dataclasses of this package as JSON, their arrays beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from importlib import import_module
from pathlib import Path
from tokenize import TokenError
from typing import Any
from zipfile import BadZipFile
from zlib import error as zlib_error

import numpy as np

from ...core.types import Array

_VALUE = "value.json"
_ARRAYS = "arrays.npz"
_PACKAGE = __name__.split(".")[0]
_RESULT = "result"
_KIND = "__kind__"
# beyond OSError and ValueError, what NumPy, zipfile and a wrong document raise
_DAMAGE = (
    *(ArithmeticError, AttributeError, EOFError, ImportError, LookupError, MemoryError),
    *(RecursionError, SyntaxError, SystemError, TypeError),
    *(BadZipFile, TokenError, zlib_error),
)


class NotStorable(Exception):
    """A value holds something that is no plain result, such as an error."""


def write_value(value: Any, folder: Path) -> None:
    """Write a value made of dataclasses of this package, plain values, paths and arrays.

    Raises NotStorable for anything else. Nothing is pickled, so reading runs no foreign code.
    """
    arrays: dict[str, Array] = {}
    text = json.dumps({_RESULT: _encode(value, arrays)})
    if arrays:
        np.savez(folder / _ARRAYS, **arrays)
    (folder / _VALUE).write_text(text, encoding="utf-8")


def read_value(folder: Path) -> Any:
    """Return the value that was written there. Raises OSError or ValueError when it is damaged."""
    try:
        return _read(folder)
    except _DAMAGE as error:
        raise ValueError(f"{folder} holds no result: {error}") from error


def _read(folder: Path) -> Any:
    document = json.loads((folder / _VALUE).read_text(encoding="utf-8"))[_RESULT]
    file = folder / _ARRAYS
    if not file.exists():
        return _decode(document, {})
    with np.load(file, allow_pickle=False) as arrays:
        return _decode(document, arrays)


def _encode(value: Any, arrays: dict[str, Array]) -> Any:
    """Return a value as plain JSON, and put its arrays into ``arrays``."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        items = [_encode(item, arrays) for item in value]
        return items if isinstance(value, list) else {_KIND: "tuple", "items": items}
    if isinstance(value, Mapping):
        pairs = [[_encode(key, arrays), _encode(item, arrays)] for key, item in value.items()]
        return {_KIND: "dict", "items": pairs}
    if isinstance(value, np.ndarray):
        arrays[f"a{len(arrays)}"] = value
        return {_KIND: "array", "name": f"a{len(arrays) - 1}"}
    if isinstance(value, np.generic):
        return _encode(value.item(), arrays)
    if isinstance(value, Path):
        return {_KIND: "path", "path": str(value)}
    if is_dataclass(value) and type(value).__module__.startswith(f"{_PACKAGE}."):
        kind = f"{type(value).__module__}:{type(value).__qualname__}"
        parts = {part.name: _encode(getattr(value, part.name), arrays) for part in fields(value)}
        return {_KIND: kind, "fields": parts}
    raise NotStorable(type(value).__name__)


def _decode(value: Any, arrays: Mapping[str, Array]) -> Any:
    """Return the value that a plain one was encoded from."""
    if isinstance(value, list):
        return [_decode(item, arrays) for item in value]
    if not isinstance(value, dict):
        return value
    kind = value[_KIND]
    if kind == "tuple":
        return tuple(_decode(item, arrays) for item in value["items"])
    if kind == "dict":
        return {_decode(key, arrays): _decode(item, arrays) for key, item in value["items"]}
    if kind == "array":
        return arrays[value["name"]]
    if kind == "path":
        return Path(value["path"])
    parts = {name: _decode(part, arrays) for name, part in value["fields"].items()}
    return _dataclass(kind)(**parts)


def _dataclass(kind: str) -> type[Any]:
    """Return a dataclass of this package. Raises ValueError for anything else."""
    module, _, name = kind.partition(":")
    ours = module.startswith(f"{_PACKAGE}.") and not module.endswith("__main__")  # that would run
    result = getattr(import_module(module), name, None) if ours else None
    if not isinstance(result, type) or not is_dataclass(result):
        raise ValueError(f"{kind} is no result")
    return result
