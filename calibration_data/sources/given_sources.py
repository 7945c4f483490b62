"""What somebody names one by one: image files, and whatever else holds samples."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from ...core.errors import OptionError, SamplesError
from ..images.decode import SUFFIXES
from .open_source import open_source
from .source_types import ImageFiles, ImageSource, Source


def open_given(paths: Sequence[Path]) -> list[tuple[Path, Source]]:
    """Return the sources of paths in their order: image files that follow one another are one.

    Each comes with the path that messages name. Raises SamplesError for a path that is no sample,
    and OptionError for images beside tensors.
    """
    opened: list[tuple[Path, Source]] = []
    for is_image, group in groupby(paths, key=_is_image_file):
        members = tuple(group)
        if is_image:
            opened.append((members[0], ImageFiles(tuple(map(_present, members)))))
        else:
            opened.extend((path, open_source(path)) for path in members)
    if len({isinstance(source, ImageSource) for _, source in opened}) > 1:
        raise OptionError(
            f"{paths[0]} and what follows are images and tensors, which are prepared in two ways",
            "give images alone, or tensors alone",
        )
    return opened


def _is_image_file(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.is_dir()


def _present(path: Path) -> Path:
    if not path.is_file():
        raise SamplesError(f"{path}: there is no such image file", "check the path")
    return path
