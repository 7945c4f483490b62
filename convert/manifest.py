"""The manifest beside a ``.rknn``: what it was made from, what is in it, and how to feed it.

A ``.rknn`` is not byte-reproducible and cannot be simulated once it is only a file. Its identity is
therefore this manifest: the digests of everything it can be rebuilt from, under paths relative to
the manifest's own folder.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from ..core.errors import RockpressError
from ..core.files import real_path, sha256_of, write_text
from ..core.results.layer_rows import Feed, FeedInput, FeedOutput
from ..core.results.reading import Reading
from ..core.text_files import UnreadableFile, read_json
from ..core.validation import Malformed, require, validated
from .compiled_model import CompiledModel
from .latency.timed_runs import require_possible_table

if TYPE_CHECKING:
    from .convert import Conversion

SCHEMA = 1
RKNN_DIGEST = "rknn"  # the role of the .rknn itself among the digests
_SIZES = "sizes above 0"
_REBUILD = "run the conversion again to get a new .rknn with its manifest"


@dataclass(frozen=True)
class CalibrationRecord:
    """How many ``samples`` were calibrated with, and the ``seed`` of all that was random."""

    samples: int
    seed: int


@dataclass(frozen=True, kw_only=True)
class Manifest(CompiledModel):
    """``files`` maps a role (model, intended, plan) to a path relative to the manifest's folder.

    ``digests`` holds the sha256 of each of those files under the same role, and of the input model,
    the samples and the ``.rknn`` itself where those are given. ``classes`` are as in ``Feed``.
    ``reading`` is how the outputs are read, None in a manifest that is older than this, and so is
    ``calibration``, as where there were no samples.
    """

    files: Mapping[str, str]
    digests: Mapping[str, str]
    inputs: tuple[FeedInput, ...]
    outputs: tuple[FeedOutput, ...]
    classes: tuple[str, ...] = ()
    reading: Reading | None = None
    calibration: CalibrationRecord | None = None
    schema: int = field(default=SCHEMA)

    @property
    def feed(self) -> Feed:
        """Return how to feed the ``.rknn``."""
        return Feed(self.inputs, self.outputs, self.classes)


def manifest_of(
    conversion: Conversion,
    folder: Path,
    *,
    files: Mapping[str, Path],
    digests: Mapping[str, str],
    feed: Feed,
    reading: Reading | None = None,
    calibration: CalibrationRecord | None = None,
) -> Manifest:
    """Describe a finished conversion. ``files`` are those to rebuild from, inside ``folder``.

    Raises RockpressError for a file outside ``folder``: its path would mean nothing elsewhere.
    """
    compiled = {part.name: getattr(conversion, part.name) for part in fields(CompiledModel)}
    return Manifest(
        **compiled,
        files={role: _relative(path, folder) for role, path in files.items()},
        digests={**digests, **{role: sha256_of(path) for role, path in files.items()}},
        inputs=feed.inputs,
        outputs=feed.outputs,
        classes=feed.classes,
        reading=reading,
        calibration=calibration,
    )


def manifest_path(rknn: Path) -> Path:
    """Return where the manifest of a ``.rknn`` lies: beside it, ``model.rknn.json``."""
    return rknn.with_name(f"{rknn.name}.json")


def board_folder(rknn: Path) -> Path:
    """Return where the programs for a ``.rknn`` lie: beside it."""
    return rknn.with_name(f"{rknn.stem}-board")


def write_manifest(manifest: Manifest, path: Path) -> None:
    """Write it whole or not at all; raises OutputError."""
    write_text(path, json.dumps(asdict(manifest), indent=2, sort_keys=True) + "\n")


def read_manifest(path: Path) -> Manifest:
    """Read a manifest and check every value in it.

    Raises RockpressError, naming the value, when it is missing, broken, too new, or leads out of
    its own folder.
    """
    if not path.exists():
        raise RockpressError(f"{path}: the manifest is missing", _REBUILD)
    try:
        document = read_json(path)
    except UnreadableFile as error:
        raise RockpressError(f"{path}: not a manifest: {error}", _REBUILD) from error
    _require_schema(document, path)
    try:
        manifest = validated(Manifest, document)
        _require_possible(manifest)
    except Malformed as error:
        raise RockpressError(f"{path}: not a manifest: {error}", _REBUILD) from error
    for name in manifest.files.values():
        # it may come from somebody else: it must not lead out of its own folder
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise RockpressError(f"{path}: the manifest names a file elsewhere: {name}", _REBUILD)
    return manifest


def _require_schema(document: object, path: Path) -> None:
    schema = document.get("schema") if isinstance(document, dict) else None
    if not isinstance(schema, int):
        raise RockpressError(f"{path}: not a manifest: it names no schema", _REBUILD)
    if schema > SCHEMA:
        raise RockpressError(
            f"{path}: the manifest has schema {schema}, this version reads {SCHEMA}",
            "use a newer rockpress",
        )


def _require_possible(manifest: Manifest) -> None:
    """Raise Malformed for a number that no conversion gives."""
    for index, feed in enumerate(manifest.inputs):
        require(all(size > 0 for size in feed.shape), f"inputs[{index}].shape", feed.shape, _SIZES)
        above = all(value > 0 for value in feed.std or ())
        require(above, f"inputs[{index}].std", feed.std, "numbers above 0")
    for index, shapes in enumerate(manifest.input_sets):
        for name, shape in shapes.items():
            is_shape = all(size > 0 for size in shape)
            require(is_shape, f"input_sets[{index}].{name}", shape, _SIZES)
    for index, output in enumerate(manifest.outputs):
        sizes = output.shape
        require(all(size > 0 for size in sizes), f"outputs[{index}].shape", sizes, _SIZES)
        above = output.scale is None or output.scale > 0
        require(above, f"outputs[{index}].scale", output.scale, "a number above 0")
    read = manifest.reading.outputs if manifest.reading else ()
    exist = all(0 <= index < len(manifest.outputs) for index in read)
    require(exist, "reading.outputs", read, "places of outputs")
    for index, layer in enumerate(manifest.layers):
        cycles = layer.total_cycles
        require(cycles >= 0, f"layers[{index}].total_cycles", cycles, "a number of cycles")
    require_possible_table(manifest.layers, "layers")
    count = manifest.calibration.samples if manifest.calibration else 1
    require(count > 0, "calibration.samples", count, "a number above 0")
    require(manifest.cycles >= 0, "cycles", manifest.cycles, "a number of cycles")


def is_of(manifest: Manifest, rknn: Path) -> bool:
    """Return whether the manifest is of this very file; an old one that cannot tell is."""
    return manifest.digests.get(RKNN_DIGEST) in (None, sha256_of(rknn))


def verify_files(manifest: Manifest, folder: Path) -> dict[str, Path]:
    """Return the files by role. Raises RockpressError for one that is missing or has changed."""
    files: dict[str, Path] = {}
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
        files[role] = path
    return files


def _relative(path: Path, folder: Path) -> str:
    try:
        return real_path(path).relative_to(real_path(folder)).as_posix()
    except ValueError as error:
        raise RockpressError(
            f"{path} is outside {folder}, so the manifest cannot name it",
            "keep the files of a conversion in one folder",
        ) from error
