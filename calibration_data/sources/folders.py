"""Folders of images: flat (unlabelled), of class folders, or beside a folder of labels or masks.

Labels are YOLO text files, masks are PNG files.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ...core.errors import SamplesError
from ..images.decode import SUFFIXES
from .label_files import MaskFiles
from .label_texts import natural_key
from .labels import Labels
from .source_types import ImageFiles, Source, TensorFiles
from .yolo_files import YoloFiles, kind_of_files

# more files than any evaluation set has; such a folder was given by mistake (as / is)
MAX_FILES = 5_000_000
_IMAGES = "images"
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
        return _of_classes(classes, tuple(subfolder.name for subfolder in folders))
    if images:
        return ImageFiles(tuple(images))
    tensors = _with_suffix(files, {".npy"})
    if tensors:
        return TensorFiles(tuple(tensors))
    raise SamplesError(
        f"{folder}: the folder holds no images", f"image files end in {', '.join(sorted(SUFFIXES))}"
    )


def _of_classes(classes: list[list[Path]], names: tuple[str, ...]) -> ImageFiles:
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


def open_label_folder(folder: Path) -> Source | None:
    """Open the labelled set of such a folder, or of its ``images/`` part; None for others.

    ``images/val`` goes with ``labels/val``; an image without a text file shows nothing. Raises
    SamplesError for an image without a mask, and for a folder beside ``images/`` with no label of
    any.
    """
    images = folder / _IMAGES if (folder / _IMAGES).is_dir() else folder
    unlabelled = None
    for name, suffix in (("masks", ".png"), ("labels", ".txt")):
        beside = _beside(images, name)
        if beside is None:
            continue
        files = _image_files(images)
        labels = tuple(beside / file.relative_to(images).with_suffix(suffix) for file in files)
        missing = [label for label in labels if not label.is_file()]
        if len(missing) < len(files):
            return _with_labels(files, labels, missing)
        unlabelled = beside if files and images != folder else unlabelled
    if unlabelled is not None:
        # its subfolders are no classes
        raise SamplesError(
            f"{unlabelled}: holds no label file of any image in {images}",
            "give it files of the images' names, or give the folder of images alone, unlabelled",
        )
    return None


def _beside(images: Path, name: str) -> Path | None:
    """Return the folder of the labels of a folder of images: its path with images replaced."""
    parts = images.parts
    if _IMAGES not in parts:
        return None
    last = len(parts) - 1 - parts[::-1].index(_IMAGES)
    folder = Path(*parts[:last], name, *parts[last + 1 :])
    return folder if folder.is_dir() else None


def _with_labels(files: tuple[Path, ...], labels: tuple[Path, ...], missing: list[Path]) -> Source:
    def origin(index: int) -> str:
        return str(labels[index])

    if labels[0].suffix == ".txt":
        kind, numbers = kind_of_files(labels)
        return ImageFiles(files, Labels(kind, YoloFiles(files, labels, numbers), origin=origin))
    if missing:
        raise SamplesError(
            f"{missing[0]}: the mask is missing, as are {len(missing) - 1} others",
            "give every image a .png of the same name",
        )
    return ImageFiles(files, Labels("mask", MaskFiles(labels), origin=origin))


def _image_files(folder: Path) -> tuple[Path, ...]:
    images = (path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    return tuple(sorted(images, key=lambda path: natural_key(str(path.relative_to(folder)))))
