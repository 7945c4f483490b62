"""The manifest beside a ``.rknn``: what it was made from, what is in it, and how to feed it.

A ``.rknn`` is not byte-reproducible and cannot be simulated once it is only a file. Its identity is
therefore this manifest: the digests of everything it can be rebuilt from, under paths relative to
the manifest's own folder.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path, PurePosixPath
from typing import Any

from ..core.errors import RockpressError
from ..core.files import sha256_of, write_text
from .convert import Conversion
from .fallbacks import FUSING_LEVEL

SCHEMA = 1
RKNN_DIGEST = "rknn"  # the role of the .rknn itself among the digests
_OPTIONAL = {"layers", "memory", "cycles", "latency", "level", "dtype", "sparse"}
_REBUILD = "run the conversion again to get a new .rknn with its manifest"


@dataclass(frozen=True)
class FeedInput:
    """One input as the application hands it over; ``mean`` and ``std`` are applied inside."""

    name: str
    dtype: str  # uint8 or float32
    layout: str  # NHWC, or the model's own
    shape: tuple[int, ...]
    color: str | None = None  # rgb, bgr, gray; not stored in the .rknn, so said here
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None


@dataclass(frozen=True)
class FeedOutput:
    """One output; real value = (stored value - zero_point) * scale where these are given."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float | None = None
    zero_point: int | None = None


@dataclass(frozen=True)
class Manifest:
    """``files`` maps a role (model, intended, plan) to a path relative to the manifest's folder.

    ``digests`` holds the sha256 of each of those files under the same role, and of the input model,
    the samples and the ``.rknn`` itself where those are given.
    """

    target: str
    toolkit: str
    quantization: str
    files: Mapping[str, str]
    digests: Mapping[str, str]
    inputs: tuple[FeedInput, ...]
    outputs: tuple[FeedOutput, ...]
    layers: tuple[Mapping[str, Any], ...] = ()
    memory: Mapping[str, int] | None = None
    cycles: int = 0
    latency: Mapping[str, Any] | None = None
    level: int = FUSING_LEVEL
    dtype: str = "w8a8"
    sparse: bool = False
    schema: int = field(default=SCHEMA)


def manifest_of(
    conversion: Conversion,
    folder: Path,
    *,
    files: Mapping[str, Path],
    digests: Mapping[str, str],
    inputs: tuple[FeedInput, ...],
    outputs: tuple[FeedOutput, ...],
) -> Manifest:
    """Describe a finished conversion. ``files`` are those to rebuild from, inside ``folder``.

    Raises RockpressError for a file outside ``folder``: its path would mean nothing elsewhere.
    """
    return Manifest(
        target=conversion.target,
        toolkit=conversion.toolkit,
        quantization=conversion.quantization,
        files={role: _relative(path, folder) for role, path in files.items()},
        digests={**digests, **{role: sha256_of(path) for role, path in files.items()}},
        inputs=inputs,
        outputs=outputs,
        layers=tuple(asdict(layer) for layer in conversion.layers),
        memory=asdict(conversion.memory) if conversion.memory else None,
        cycles=conversion.cycles,
        latency=asdict(conversion.latency) if conversion.latency else None,
        level=conversion.level,
        dtype=conversion.dtype,
        sparse=conversion.sparse,
    )


def manifest_path(rknn: Path) -> Path:
    """Where the manifest of a ``.rknn`` lies: beside it, ``model.rknn.json``."""
    return rknn.with_name(f"{rknn.name}.json")


def write_manifest(manifest: Manifest, path: Path) -> None:
    """Write it whole or not at all; raises OutputError."""
    write_text(path, json.dumps(asdict(manifest), indent=2, sort_keys=True) + "\n")


def read_manifest(path: Path) -> Manifest:
    """Read and check a manifest. Raises RockpressError when it is missing, broken or too new."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RockpressError(f"{path}: the manifest is missing", _REBUILD) from error
    except (OSError, ValueError) as error:
        raise RockpressError(f"{path}: not a manifest: {error}", _REBUILD) from error
    _check_document(document, path)
    try:
        return _manifest(document)
    except (TypeError, ValueError) as error:
        raise RockpressError(f"{path}: not a manifest: {error}", _REBUILD) from error


def _manifest(document: Mapping[str, Any]) -> Manifest:
    known = {one.name for one in fields(Manifest)}
    parts = {name: value for name, value in document.items() if name in known}
    parts["inputs"] = tuple(FeedInput(**_tuples(one)) for one in document["inputs"])
    parts["outputs"] = tuple(FeedOutput(**_tuples(one)) for one in document["outputs"])
    parts["layers"] = tuple(document.get("layers", ()))
    manifest = Manifest(**parts)
    _check_types(manifest)
    for put_in in manifest.inputs:
        _check_types(put_in)
    for out in manifest.outputs:
        _check_types(out)
    return manifest


def _check_types(part: Manifest | FeedInput | FeedOutput) -> None:
    """Raise TypeError for a value of another kind than its name has everywhere."""
    for one in fields(part):
        value = getattr(part, one.name)
        is_right = _KINDS[one.name]
        if not is_right(value) and not (value is None and one.default is None):
            raise TypeError(f"{one.name} is {str(value)[:60]!r}")


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and abs(value) < math.inf


def _is_object(value: Any) -> bool:
    return isinstance(value, Mapping)


def _many(is_right: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, tuple) and all(map(is_right, value))


_KINDS: Mapping[str, Callable[[Any], bool]] = {
    **dict.fromkeys(("target", "toolkit", "quantization"), _is_text),
    **dict.fromkeys(("name", "dtype", "layout", "color"), _is_text),
    **dict.fromkeys(("cycles", "level", "schema", "zero_point"), _is_whole),
    **dict.fromkeys(("files", "digests", "memory", "latency"), _is_object),
    **dict.fromkeys(("mean", "std"), _many(_is_number)),
    "scale": _is_number,
    "sparse": lambda value: isinstance(value, bool),
    "shape": _many(_is_whole),
    "layers": _many(_is_object),
    "inputs": lambda value: True,  # built from objects already
    "outputs": lambda value: True,
}


def is_of(manifest: Manifest, rknn: Path) -> bool:
    """Whether the manifest was written for this very file; an old one that cannot tell is."""
    return manifest.digests.get(RKNN_DIGEST) in (None, sha256_of(rknn))


def verify_files(manifest: Manifest, folder: Path) -> dict[str, Path]:
    """The files by role, each there and unchanged. Raises RockpressError naming one that is not."""
    found: dict[str, Path] = {}
    for role, name in manifest.files.items():
        path = folder / name
        if not path.is_file():
            raise RockpressError(f"{path}: the {role} file of the .rknn is missing", _REBUILD)
        digest = sha256_of(path)
        if digest != manifest.digests.get(role):
            raise RockpressError(
                f"{path}: the {role} file has changed since the .rknn was made "
                f"(sha256 {digest[:12]}, was {manifest.digests.get(role, 'not noted')[:12]})",
                _REBUILD,
            )
        found[role] = path
    return found


def _relative(path: Path, folder: Path) -> str:
    try:
        return path.resolve().relative_to(folder.resolve()).as_posix()
    except ValueError as error:
        raise RockpressError(
            f"{path} is outside {folder}, so the manifest cannot name it",
            "keep the files of a conversion in one folder",
        ) from error


def _check_document(document: Any, path: Path) -> None:
    if not isinstance(document, dict) or not isinstance(document.get("schema"), int):
        raise RockpressError(f"{path}: not a manifest: it names no schema", _REBUILD)
    if document["schema"] > SCHEMA:
        raise RockpressError(
            f"{path}: the manifest has schema {document['schema']}, this version reads {SCHEMA}",
            "use a newer rockpress",
        )
    required = {one.name for one in fields(Manifest)} - _OPTIONAL
    missing = sorted(required - set(document))
    if missing:
        raise RockpressError(f"{path}: the manifest lacks {', '.join(missing)}", _REBUILD)
    files = document["files"]
    if not isinstance(files, dict):
        raise RockpressError(f"{path}: not a manifest: its files have no roles", _REBUILD)
    for name in map(str, files.values()):
        # it may come from somebody else: it must not lead out of its own folder
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise RockpressError(f"{path}: the manifest names a file elsewhere: {name}", _REBUILD)


def _tuples(part: Any) -> dict[str, Any]:
    if not isinstance(part, dict):
        raise TypeError(f"an input or output is {str(part)[:60]!r}")
    return {name: tuple(one) if isinstance(one, list) else one for name, one in part.items()}
