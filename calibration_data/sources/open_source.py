"""Find out what kind of samples a path holds, and open them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from ...core.errors import SamplesError
from .array_sources import open_npy, open_npz
from .coco_files import open_coco
from .folders import open_folder
from .label_folders import open_label_folder
from .lists import open_csv, open_list
from .source_types import Source

_BY_SUFFIX: Mapping[str, Callable[[Path], Source]] = {
    ".txt": open_list,
    ".csv": open_csv,
    ".npy": open_npy,
    ".npz": open_npz,
    ".json": open_coco,
}
_LABELS_FILE = "labels.csv"


def open_source(path: Path) -> Source:
    """Open a folder, a .txt list, a .csv table with labels, a COCO .json, a .npy or an .npz.

    A flat folder is unlabelled, a folder of folders labelled; a folder with a labels.csv is what
    that file says, one with images/ and labels/ or masks/ has boxes or masks. Nothing but names,
    array headers and annotations is read yet. Raises SamplesError.
    """
    if path.is_dir():
        table = path / _LABELS_FILE
        if table.is_file():
            return open_csv(table)
        return open_label_folder(path) or open_folder(path)
    if not path.exists():
        raise SamplesError(f"{path}: the samples do not exist", "check the path")
    opener = _BY_SUFFIX.get(path.suffix.lower())
    if opener is None or not path.is_file():
        raise SamplesError(
            f"{path}: this is not a kind of samples that is known",
            "give a folder of images, a .txt list, a labels.csv, a COCO .json, a .npy or an .npz",
        )
    return opener(path)
