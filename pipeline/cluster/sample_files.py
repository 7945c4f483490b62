"""Which files a set of samples is read from, so that another machine can read it too."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from ...calibration_data.sources.coco_files import MAX_COCO_BYTES
from ...calibration_data.sources.label_files import MaskFiles
from ...calibration_data.sources.lists import relocated_list
from ...calibration_data.sources.open_source import LABELS_FILE, open_source
from ...calibration_data.sources.source_types import ImageFiles, Source, TensorFiles
from ...calibration_data.sources.yolo_files import YoloFiles
from ...core.errors import SamplesError
from ...core.text_files import read_json
from .bundle import Bundle, bundle_of

_LISTS = (".txt", ".csv")


def samples_bundle(path: Path) -> Bundle:
    """Return the files of a set of samples. Raises SamplesError.

    A list is given relative paths in place of those that only this machine knows.
    """
    source = open_source(path)
    files: dict[Path, bytes | None] = dict.fromkeys(_files_of(source))
    table = path if path.is_file() else path / LABELS_FILE
    if table.is_file():
        files[table] = _as_elsewhere(table)
    # an empty folder of a class counts too
    folders = [entry for entry in path.iterdir() if entry.is_dir()] if path.is_dir() else []
    return bundle_of(files, [*folders, path] if path.is_dir() else [])


def _files_of(source: Source) -> Iterator[Path]:
    if isinstance(source, (ImageFiles, TensorFiles)):
        yield from source.paths
    values = source.labels.values if source.labels else None
    if isinstance(values, MaskFiles):
        yield from values.paths
    elif isinstance(values, YoloFiles):
        yield from (text for text in values.texts if text.is_file())


def _as_elsewhere(table: Path) -> bytes | None:
    """Return the bytes of a list with relative paths; None for what has no list's form."""
    if table.suffix.lower() == ".json":
        _require_relative_names(table)
    if table.suffix.lower() not in _LISTS:
        return None
    folder = os.path.abspath(table.parent)
    return relocated_list(table, lambda file: os.path.relpath(os.path.abspath(file), folder))


def _require_relative_names(table: Path) -> None:
    """Raise SamplesError for a COCO file that names an image by where it is on this machine."""
    for image in read_json(table, MAX_COCO_BYTES)["images"]:
        if str(image["file_name"]).startswith("/"):
            raise SamplesError(
                f"{table}: names images by absolute paths, which other machines do not have",
                "name them relative to its folder",
            )
