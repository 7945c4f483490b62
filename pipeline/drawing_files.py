"""The pictures of predictions in a folder: a name each, and never over what is read."""

from __future__ import annotations

from collections.abc import Iterable
from io import BytesIO
from pathlib import Path, PurePath

from ..calibration_data.images.geometry import Pixels
from ..core.diagnostics import option
from ..core.errors import OptionError
from ..core.files import real_path, require_writable, write_bytes

_JPEG = frozenset({".jpg", ".jpeg"})
_QUALITY, _LONGEST_JPEG = 92, 65_000


class DrawingFiles:
    """A folder for drawings, made when missing.

    Raises OptionError for one that samples are read from, and OutputError.
    """

    def __init__(self, folder: Path, pictures: Iterable[Path]) -> None:
        if real_path(folder) in {place.parent for path in pictures for place in _places_of(path)}:
            raise OptionError(
                f"{option('output', str(folder))}: pictures are read from there",
                "give another folder: a drawing would replace its picture",
            )
        require_writable(folder)
        self._folder = folder
        self._taken: set[str] = set()

    def write(self, sample: str, pixels: Pixels) -> Path:
        """Write a drawing under the name of its sample, with a number where that is taken."""
        from PIL import Image

        named = PurePath(sample)
        is_jpeg = named.suffix.lower() in _JPEG and max(pixels.shape) < _LONGEST_JPEG
        stem, suffix = (named.stem, ".jpg") if is_jpeg else (_stem(named), ".png")
        path = self._folder / self._free(stem, suffix)
        file = BytesIO()
        if is_jpeg:  # thin lines keep their colour without subsampling
            Image.fromarray(pixels).save(file, "jpeg", quality=_QUALITY, subsampling=0)
        else:
            Image.fromarray(pixels).save(file, "png")
        write_bytes(path, file.getvalue())
        return path

    def _free(self, stem: str, suffix: str) -> str:
        name, number = f"{stem}{suffix}", 1
        while name.lower() in self._taken:
            number += 1
            name = f"{stem}-{number}{suffix}"
        self._taken.add(name.lower())
        return name


def _places_of(path: Path) -> tuple[Path, Path]:
    """Return where a file is named, and where it lies."""
    return real_path(path.parent) / path.name, real_path(path)


def _stem(named: PurePath) -> str:
    """Return the name of a file, or of a row of one.

    >>> _stem(PurePath("a/set.npz[12]")), _stem(PurePath("a/cat.png"))
    ('set-12', 'cat')
    """
    name, bracket, row = named.name.partition("[")
    return f"{PurePath(name).stem}-{row.rstrip(']')}" if bracket else named.stem
