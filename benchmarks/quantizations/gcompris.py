"""The photographs of GCompris (Debian's gcompris-qt-data): animals, monuments, tools and others.

The package keeps them in Qt's binary resources (.rcc): a tree of nodes of 22 bytes, all numbers
big-endian, beside the names (UTF-16) and the data. Each photograph is under a free licence of its
own, which the package's ``copyright`` file names: public domain, CC0, CC-BY, CC-BY-SA, GFDL or GPL.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

from .photos import Photo, debian_folder

_PACKAGE, _RESOURCES = "gcompris-qt-data", "usr/share/gcompris-qt/rcc"
# Of the monuments one activity's alone: another one has pictures of the same.
_FOLDERS = {
    "categorization": ("tools", "renewable", "fishes", "others"),
    "erase": ("resource",),
    "explore_farm_animals": ("animals",),
    "explore_monuments": ("egypt", "france", "germany", "india", "usa", "wonders"),
    "explore_world_animals": ("animals",),
    "explore_world_music": ("music",),
}
_SMALLEST = 150  # pixels of the short side
_VERSIONS = (2, 3)  # of the format: their nodes have a time at their end
_NODE = struct.Struct(">IH8sQ")  # name, flags, what the flags say, time
_IS_FOLDER, _IS_PACKED = 2, 1 | 4  # the latter by zlib or by Zstandard


def gcompris_photographs(work: Path) -> list[Photo]:
    """Return every photograph in a fixed order, fetched below ``work`` when not there yet.

    Raises:
        ValueError: the package has none in the form that its version 3.1 has.
    """
    from PIL import Image

    root = debian_folder(_PACKAGE, work / "photos") / _RESOURCES
    target = work / "photos" / "gcompris"
    photos = []
    for activity, folders in _FOLDERS.items():
        for path, data in sorted(resources((root / f"{activity}.rcc").read_bytes())):
            if not (path.endswith(".webp") and path.split("/")[-2] in folders):
                continue
            name = f"{activity}-{path.split('/')[-1]}"
            file = target / name
            if not file.is_file():
                target.mkdir(parents=True, exist_ok=True)
                file.write_bytes(data)
            with Image.open(file) as image:
                if min(image.size) >= _SMALLEST:
                    photos.append(Photo(f"gcompris/{name}", file))
    if not photos:
        raise ValueError(f"no photographs in {root}")
    return photos


def resources(rcc: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the path and the bytes of every file of a resource that is not compressed, as pictures.

    Raises:
        ValueError: these bytes are no resource, or one of another version.
    """
    magic, version, tree, data, names = struct.unpack_from(">4s4I", rcc)
    if magic != b"qres" or version not in _VERSIONS:
        raise ValueError("not a resource of Qt with times")

    def below(index: int, folder: str) -> Iterator[tuple[str, bytes]]:
        name, flags, place, _ = _NODE.unpack_from(rcc, tree + index * _NODE.size)
        path = f"{folder}/{_text(rcc, names + name)}" if index else ""
        if flags & _IS_FOLDER:
            count, first = struct.unpack(">2I", place)
            for child in range(first, first + count):
                yield from below(child, path)
            return
        if flags & _IS_PACKED:
            return
        start = data + struct.unpack(">4xI", place)[0] + 4
        size = struct.unpack_from(">I", rcc, start - 4)[0]
        yield path, rcc[start : start + size]

    yield from below(0, "")


def _text(rcc: bytes, start: int) -> str:
    """Return a name: its length, a hash of four bytes, then its letters."""
    length = struct.unpack_from(">H", rcc, start)[0]
    return rcc[start + 6 : start + 6 + 2 * length].decode("utf-16-be")
