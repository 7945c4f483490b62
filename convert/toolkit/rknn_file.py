"""What a ``.rknn`` says about itself, read without the toolkit, and whether it is whole.

The layout was read off files of versions 2.3.0, 2.3.2 and 2.5.0 for all chips: a header of 64 bytes
(``RKNN``, then as 64-bit numbers the format at byte 8 and the size of the model at byte 16), the
model, the length of a JSON text in 8 bytes, and that text at the end. The JSON names the toolkit's
version, the chip, the inputs and the outputs. The model, whatever its format, holds two texts of
the toolkit more, each with its length in 4 bytes before it: the compiler's version, and a Python
dictionary with mean, std, layout, scale and zero point of the inputs and outputs.

The file may come from anybody: what is read of it is bounded, and of the wrong type is left out.
"""

from __future__ import annotations

import ast
import json
import math
import mmap
import re
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...core.errors import ModelError

_HEADER = 64
_MAGIC = b"RKNN"
_FORMATS = (6, 0x1004)  # the latter for the RV11 series and rk2118
_JSON_LIMIT = 1 << 24
_TEXT_LIMIT = 1 << 20
_NUMBERS_LIMIT = 4096
_TENSORS = b"{'attrs':"
_LONG_NUMBER = re.compile(r"\d{40}")  # no scale has so many digits, and they take long to read
_COMPILER = re.compile(rb"\(compiler version: ([\w.+-]{1,40}(?: \([\w@:. +-]{1,80}\))?)\)")
_HINT = "give a whole .rknn file, made by rknn-toolkit2 2.x"


@dataclass(frozen=True)
class RknnTensor:
    """One input or output. ``dtype`` is the format inside; the runtime can convert to and from it.

    Real value = (stored value - zero_point) * scale. ``mean`` and ``std`` of an input are None
    unless the ``.rknn`` applies some. What the file does not say is None.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    layout: str | None = None
    scale: float | None = None
    zero_point: int | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None


@dataclass(frozen=True)
class RknnFacts:
    """What the file says. ``format`` is the number in its header; sizes are in bytes.

    ``framework`` is what the model was loaded from, such as ONNX.
    """

    target: str
    toolkit: str
    compiler: str | None
    format: int
    bytes: int
    model_bytes: int
    framework: str | None
    inputs: tuple[RknnTensor, ...]
    outputs: tuple[RknnTensor, ...]


def is_cut_short(path: Path) -> bool:
    """Return whether the file ends before its header says. One of an unknown format is whole."""
    size = path.stat().st_size
    with path.open("rb") as file:
        header = file.read(24)
        if len(header) < 24 or header[:4] != _MAGIC:
            return len(header) < 24
        version, model = struct.unpack("<QQ", header[8:])
        if version not in _FORMATS:
            return False
        file.seek(min(size, _HEADER + model))
        length = file.read(8)
    return len(length) < 8 or size < _HEADER + model + 8 + struct.unpack("<Q", length)[0]


def read_rknn(path: Path) -> RknnFacts:
    """Read a ``.rknn``. Raises ModelError when it is missing, cut short, or in no known format."""
    with _mapped(path) as content:
        version, model = _header(content, path)
        document = _document(content, _HEADER + model, version, path)
        compiler = _COMPILER.search(content, _HEADER, _HEADER + model)
        described = _described(content, _HEADER + model)
        version_text = compiler[1].decode("ascii") if compiler else None
        size = len(content)
    return RknnFacts(
        target=", ".join(_texts(document.get("target_platform"))) or "unknown",
        toolkit=_text(document.get("version")) or "unknown",
        compiler=version_text,
        format=version,
        bytes=size,
        model_bytes=model,
        framework=_text(document.get("ori_network_platform")),
        inputs=tuple(_tensors(document, "input", described)),
        outputs=tuple(_tensors(document, "output", described)),
    )


@contextmanager
def _mapped(path: Path) -> Iterator[mmap.mmap]:
    """The file's bytes, of which only those that are used are read."""
    if not path.is_file():
        fault = "is a folder" if path.is_dir() else "does not exist"
        raise ModelError(f"{path}: the file {fault}", "give the path of a .rknn file")
    try:
        with path.open("rb") as file:
            if path.stat().st_size < _HEADER:
                raise _not_rknn(path, f"it has {path.stat().st_size} bytes")
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                yield content
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}", _HINT) from error


def _header(content: mmap.mmap, path: Path) -> tuple[int, int]:
    """The format and the size of the model."""
    if content[:4] != _MAGIC:
        raise _not_rknn(path, f"it starts with {content[:8]!r}")
    version, model = struct.unpack("<QQ", content[8:24])
    _require_bytes(content, _HEADER + model + 8, version, path)
    return version, model


def _require_bytes(content: mmap.mmap, count: int, version: int, path: Path) -> None:
    """Raise ModelError for a file that has fewer bytes: cut short, or of an unknown format."""
    if count <= len(content):
        return
    if version not in _FORMATS:
        raise ModelError(f"{path}: a .rknn of the unknown format {version:#x}", _HINT)
    raise ModelError(
        f"{path}: cut short: it should have {count} bytes and has {len(content)}", _HINT
    )


def _document(content: mmap.mmap, start: int, version: int, path: Path) -> Mapping[str, Any]:
    (length,) = struct.unpack("<Q", content[start : start + 8])
    _require_bytes(content, start + 8 + length, version, path)
    if length > _JSON_LIMIT:
        raise ModelError(f"{path}: its description has {length} bytes, too large to read", _HINT)
    try:
        document = json.loads(_short(content[start + 8 : start + 8 + length].decode("utf-8")))
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path}: its description is broken: no JSON", _HINT) from error
    if not isinstance(document, dict):
        raise ModelError(f"{path}: its description is broken: no object", _HINT)
    return document


def _described(content: mmap.mmap, end: int) -> Mapping[str, Any]:
    """The dictionary with mean, scale and so on, or {} when there is none to be read."""
    start = content.find(_TENSORS, _HEADER, end)
    if start < _HEADER + 4:
        return {}
    (length,) = struct.unpack("<I", content[start - 4 : start])
    if length > _TEXT_LIMIT or start + length > end:
        return {}
    try:
        attributes = ast.literal_eval(_short(content[start : start + length].decode("utf-8")))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return {}
    return attributes if isinstance(attributes, dict) else {}


def _short(text: str) -> str:
    if _LONG_NUMBER.search(text):
        raise ValueError("a number of 40 digits or more")
    return text


def _tensors(
    document: Mapping[str, Any], side: str, described: Mapping[str, Any]
) -> Iterator[RknnTensor]:
    """The inputs or the outputs in the order of the model."""
    entries = _objects(document.get("norm_tensor"))
    tensors = {_whole(entry.get("tensor_id")): entry for entry in entries if entry}
    edges = [
        (_whole(edge.get("left_tensor_id")) or 0, _whole(edge.get("right_tensor_id")))
        for edge in _objects(document.get("graph"))
        if edge.get("left") == side
    ]
    for _, index in sorted(edges, key=lambda edge: edge[0]):
        if index in tensors:
            yield _tensor(tensors[index], described)


def _tensor(entry: Mapping[str, Any], described: Mapping[str, Any]) -> RknnTensor:
    name = _text(entry.get("url")) or "unnamed"
    own = _object(_object(described.get("attrs")).get(name))
    range_ = _object(_object(described.get("quant_tab")).get(name))
    mean, std = _normalisation(own)
    shape = tuple(int(size) for size in _numbers(entry.get("size")))
    layout = _text(own.get("layout"))
    stored = _text(_object(entry.get("dtype")).get("qnt_type"))
    scale, zero_point = _numbers(range_.get("scale")), _numbers(range_.get("zero_point"))
    return RknnTensor(
        name=name,
        shape=shape,
        dtype=stored or _text(own.get("dtype")) or "unknown",
        layout=layout.upper() if layout and len(shape) == 4 else None,
        scale=scale[0] if stored and len(scale) == 1 else None,
        zero_point=int(zero_point[0]) if stored and len(zero_point) == 1 else None,
        mean=mean,
        std=std,
    )


def _normalisation(
    own: Mapping[str, Any],
) -> tuple[tuple[float, ...] | None, tuple[float, ...] | None]:
    """Mean and std, one value a channel; None where nothing is subtracted or divided."""
    mean, std = _numbers(own.get("mean")), _numbers(own.get("std"))
    if not mean or not std or not (any(mean) or any(value != 1 for value in std)):
        return None, None
    # of values that are all 0, or all 1, the toolkit stores one
    count = max(len(mean), len(std))
    return mean * (count // len(mean)), std * (count // len(std))


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _objects(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _text(value: Any) -> str | None:
    return value[:1000] if isinstance(value, str) and value else None


def _texts(value: Any) -> list[str]:
    texts = map(_text, value) if isinstance(value, list) else ()
    return [text for text in texts if text]


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) else None


def _numbers(value: Any) -> tuple[float, ...]:
    """Finite numbers; () when anything else is among them."""
    if not isinstance(value, list) or len(value) > _NUMBERS_LIMIT:
        return ()
    if not all(isinstance(number, (int, float)) and math.isfinite(number) for number in value):
        return ()
    return tuple(float(number) for number in value)


def _not_rknn(path: Path, why: str) -> ModelError:
    return ModelError(f"{path}: not a .rknn file: {why}", f"{_HINT}; an encrypted one says nothing")
