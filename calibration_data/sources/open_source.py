"""Find out what kind of samples a path holds, and open them."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

from ...core.errors import SamplesError
from .source_types import Source

# suffix -> the module that reads such files, and its function; only that one is imported
_BY_SUFFIX: Mapping[str, tuple[str, str]] = {
    ".txt": ("lists", "open_list"),
    ".csv": ("lists", "open_csv"),
    ".npy": ("array_sources", "open_npy"),
    ".npz": ("array_sources", "open_npz"),
    ".json": ("coco_files", "open_coco"),
}
LABELS_FILE = "labels.csv"


def open_source(path: Path, hint: str = "check the path") -> Source:
    """Open a folder, a .txt list, a .csv table with labels, a COCO .json, a .npy or an .npz.

    A flat folder is unlabelled, a folder of folders labelled; a folder with a labels.csv is what
    that file says, one with images/ and labels/ or masks/ has boxes or masks. Nothing but names,
    array headers and annotations is read yet. Raises SamplesError, with the ``hint`` where there is
    nothing at the path.
    """
    if path.is_dir():
        table = path / LABELS_FILE
        if table.is_file():
            return _open(table)
        from .folders import open_folder, open_label_folder

        return open_label_folder(path) or open_folder(path)
    if not path.exists():
        raise SamplesError(f"{path}: the samples do not exist", hint)
    if path.suffix.lower() not in _BY_SUFFIX or not path.is_file():
        from ..images.decode import SUFFIXES

        raise SamplesError(
            f"{path}: this is not a kind of samples that is known",
            f"give images ({', '.join(sorted(SUFFIXES))}) in a folder, a .txt list, a labels.csv, "
            "a COCO .json, a .npy or an .npz",
        )
    return _open(path)


def _open(file: Path) -> Source:
    module, function = _BY_SUFFIX[file.suffix.lower()]
    source: Source = getattr(import_module(f".{module}", __package__), function)(file)
    return source
