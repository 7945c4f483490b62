"""A flat folder of images (unlabelled), or a folder of class folders (labelled)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ...core.errors import SamplesError
from ..images.decode import SUFFIXES
from .labels import Labels
from .natural_sort import natural_key
from .source_types import ImageFiles, Source, TensorFiles

# more files than any evaluation set has; such a folder was given by mistake (as / is)
MAX_FILES = 5_000_000
_NOT_CLASSES = {"__MACOSX", "__pycache__"}


def open_folder(folder: Path) -> Source:
    """Open the images of the folder, or of its class folders, whose natural order counts classes.

    Other files and hidden ones are passed over. Raises SamplesError when there is no image, or
    when images lie both in the folder and in its subfolders.
    """
    files, folders = _entries(folder)
    images = _with_suffix(files, SUFFIXES)
    classes = [_with_suffix(_entries(subfolder)[0], SUFFIXES) for subfolder in folders]
    if images and any(classes):
        raise SamplesError(
            f"{folder}: holds {len(images)} images and also folders with images, so it is not "
            "clear whether it is labelled",
            "give a flat folder, or one folder a class and no image beside them",
        )
    if any(classes):
        return _labelled(classes, tuple(subfolder.name for subfolder in folders))
    if images:
        return ImageFiles(tuple(images))
    tensors = _with_suffix(files, {".npy"})
    if tensors:
        return TensorFiles(tuple(tensors))
    raise SamplesError(
        f"{folder}: the folder holds no images", f"image files end in {', '.join(sorted(SUFFIXES))}"
    )


def _labelled(classes: list[list[Path]], names: tuple[str, ...]) -> ImageFiles:
    # an empty class folder keeps its index: the model's outputs are counted in the same way
    paths = [path for members in classes for path in members]
    labels = np.repeat(np.arange(len(classes)), [len(members) for members in classes])
    return ImageFiles(tuple(paths), Labels("class", labels.astype(np.int64), names=names))


def _entries(folder: Path) -> tuple[list[Path], list[Path]]:
    """Return files and subfolders, each in natural sort order, without hidden ones."""
    files: list[Path] = []
    folders: list[Path] = []
    try:
        for count, entry in enumerate(folder.iterdir()):
            if count >= MAX_FILES:
                raise SamplesError(f"{folder}: more than {MAX_FILES} files", "give another folder")
            if entry.name.startswith(".") or entry.name in _NOT_CLASSES:
                continue
            (folders if entry.is_dir() else files).append(entry)
    except OSError as error:
        raise SamplesError(f"{folder}: {error.strerror or error}", "check the folder") from error
    return _sorted(files), _sorted(folders)


def _sorted(paths: Iterable[Path]) -> list[Path]:
    return sorted(paths, key=lambda path: natural_key(path.name))


def _with_suffix(paths: list[Path], suffixes: Iterable[str]) -> list[Path]:
    return [path for path in paths if path.suffix.lower() in suffixes]
