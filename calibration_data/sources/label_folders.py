"""A folder with images/ beside labels/ (YOLO text files) or masks/ (PNG files)."""

from __future__ import annotations

from pathlib import Path

from ...core.errors import SamplesError
from ..images.decode import SUFFIXES
from .labels import Labels
from .mask_files import MaskFiles
from .natural_sort import natural_key
from .source_types import ImageFiles, Source
from .yolo_files import YoloFiles

_IMAGES = "images"


def open_label_folder(folder: Path) -> Source | None:
    """Open the labelled set of such a folder, or of its ``images/`` part; None for others.

    ``images/val`` goes with ``labels/val``; an image without a text file shows nothing. Raises
    SamplesError for an image without a mask.
    """
    images = folder / _IMAGES if (folder / _IMAGES).is_dir() else folder
    for name, suffix in (("masks", ".png"), ("labels", ".txt")):
        beside = _beside(images, name)
        if beside is None:
            continue
        files = _image_files(images)
        labels = tuple(beside / file.relative_to(images).with_suffix(suffix) for file in files)
        missing = [label for label in labels if not label.is_file()]
        if len(missing) < len(files):
            return _labelled(files, labels, missing)
    return None


def _beside(images: Path, name: str) -> Path | None:
    """Return the folder of the labels of a folder of images: its path with images replaced."""
    parts = images.parts
    if _IMAGES not in parts:
        return None
    last = len(parts) - 1 - parts[::-1].index(_IMAGES)
    folder = Path(*parts[:last], name, *parts[last + 1 :])
    return folder if folder.is_dir() else None


def _labelled(files: tuple[Path, ...], labels: tuple[Path, ...], missing: list[Path]) -> Source:
    def origin(index: int) -> str:
        return str(labels[index])

    if labels[0].suffix == ".txt":
        return ImageFiles(files, Labels("boxes", YoloFiles(files, labels), origin=origin))
    if missing:
        raise SamplesError(
            f"{missing[0]}: the mask is missing, as are {len(missing) - 1} others",
            "give every image a .png of the same name",
        )
    return ImageFiles(files, Labels("mask", MaskFiles(labels), origin=origin))


def _image_files(folder: Path) -> tuple[Path, ...]:
    images = (path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    return tuple(sorted(images, key=lambda path: natural_key(str(path.relative_to(folder)))))
