"""Find out what kind of samples a path holds, and open them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from ..core.errors import SamplesError
from .array_sources import open_npy, open_npz
from .folders import open_folder
from .lists import open_csv, open_list
from .source_types import Source

_BY_SUFFIX: Mapping[str, Callable[[Path], Source]] = {
    ".txt": open_list,
    ".csv": open_csv,
    ".npy": open_npy,
    ".npz": open_npz,
}
_LABELS_FILE = "labels.csv"


def open_source(path: Path) -> Source:
    """Open a folder, a .txt list, a .csv table with labels, a .npy or an .npz.

    A flat folder is unlabelled, a folder of folders labelled; a folder with a labels.csv is what
    that file says. Nothing but names and array headers is read yet. Raises SamplesError.
    """
    if path.is_dir():
        table = path / _LABELS_FILE
        return open_csv(table) if table.is_file() else open_folder(path)
    if not path.exists():
        raise SamplesError(f"{path}: the samples do not exist", "check the path")
    opener = _BY_SUFFIX.get(path.suffix.lower())
    if opener is None or not path.is_file():
        raise SamplesError(
            f"{path}: this is not a kind of samples that is known",
            "give a folder of images, a .txt list, a labels.csv, a .npy or an .npz",
        )
    return opener(path)
