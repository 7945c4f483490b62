"""The files that measured times are read from."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

from ..convert.latency.timed_runs import read_record
from ..convert.manifest import manifest_path
from ..core.errors import ReportError
from ..core.measured_kinds import measured_time
from .recipes.recipe import Recipe

_RKNN = ".rknn"


def measured_files(recipe: Recipe) -> list[Path]:
    """Return the files that the measured times are read from, as far as they are there."""
    files: list[Path] = []
    for word in recipe.latency.measured:
        path, ms = measured_time(word)
        files.append(Path(path))
        if ms is None and os.path.isfile(path):
            runs = read_record(Path(path)).runs
            files += [beside_record(Path(path), run.model.file) for run in runs if run.model.file]
    manifests = [manifest_path(file) for file in files if file.suffix.lower() == _RKNN]
    return [file for file in dict.fromkeys([*files, *manifests]) if os.path.isfile(file)]


def beside_record(record: Path, file: str) -> Path:
    """Return a file that a record names; it may come from somebody else: not out of its folder."""
    path = PurePosixPath(file)
    if path.is_absolute() or ".." in path.parts:
        raise ReportError(
            f"{record} names a file elsewhere: {file[:200]}", "keep the .rknn beside the record"
        )
    return record.parent / file
