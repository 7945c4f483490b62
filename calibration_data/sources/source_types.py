"""The kinds of sources of samples: sized, indexed, read one sample at a time, perhaps labelled."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...core.errors import SamplesError
from ...core.files import sha256_of
from ...core.types import Array
from ..images.decode import decode_image, image_size
from ..images.geometry import Pixels, Size
from .array_files import read_npy
from .labels import Labels


class Source(ABC):
    """Samples on disk, with the labels of all of them or None."""

    labels: Labels | None

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of samples, at least 1."""

    @abstractmethod
    def name(self, index: int) -> str:
        """Return how an error message names the sample: a path, or a path and an index."""

    @abstractmethod
    def content_digest(self, index: int) -> str:
        """Return the hex SHA-256 of the sample's content, wherever it lies."""


class ImageSource(Source):
    """Samples that are images and go through the preprocess."""

    @abstractmethod
    def image(self, index: int) -> Pixels:
        """Read uint8 (H, W, 1), (H, W, 3) RGB or (H, W, 4) RGBA. Raises SamplesError."""

    @abstractmethod
    def size(self, index: int) -> Size:
        """Return height and width of that image, without decoding it."""


class TensorSource(Source):
    """Samples that are fed to the model as they are."""

    @abstractmethod
    def tensors(self, index: int) -> dict[str, Array]:
        """Return array name -> array of one sample; the name is "" where the file has none."""


class DerivedSource(Source):
    """The samples of another ``source``, read in another way; subclasses are dataclasses."""

    source: Source

    @property
    def labels(self) -> Labels | None:  # type: ignore[override]
        return self.source.labels

    def __len__(self) -> int:
        return len(self.source)

    def name(self, index: int) -> str:
        return self.source.name(index)

    def content_digest(self, index: int) -> str:
        return self.source.content_digest(index)


class DerivedImages(DerivedSource, ImageSource):
    """The images of another ``source``, read in another way but in their size."""

    source: ImageSource

    def size(self, index: int) -> Size:
        return self.source.size(index)


@dataclass(frozen=True, eq=False)
class _Files(Source):
    """One file a sample."""

    paths: tuple[Path, ...]
    labels: Labels | None = None

    def __len__(self) -> int:
        return len(self.paths)

    def name(self, index: int) -> str:
        return str(self.paths[index])

    def content_digest(self, index: int) -> str:
        path = self.paths[index]
        try:
            return sha256_of(path)
        except OSError as error:
            raise SamplesError(f"{path}: {error.strerror or error}", "check the path") from error


@dataclass(frozen=True, eq=False)
class ImageFiles(_Files, ImageSource):
    """One image file a sample."""

    def image(self, index: int) -> Pixels:
        return decode_image(self.paths[index])

    def size(self, index: int) -> Size:
        return image_size(self.paths[index])


@dataclass(frozen=True, eq=False)
class TensorFiles(_Files, TensorSource):
    """One .npy file a sample, as the toolkit's dataset.txt may list them."""

    def tensors(self, index: int) -> dict[str, Array]:
        array = read_npy(self.paths[index])
        if array.dtype == np.uint8:
            raise SamplesError(
                f"{self.paths[index]}: a .npy of one sample holds uint8; is it an image?",
                "list image files, or save all images in one .npy of shape (N, H, W, C)",
            )
        return {"": array}


@dataclass(frozen=True, eq=False)
class ImageArray(ImageSource):
    """Images in one uint8 array (N, H, W) or (N, H, W, C)."""

    path: Path
    images: Pixels
    labels: Labels | None = None

    def __len__(self) -> int:
        return len(self.images)

    def name(self, index: int) -> str:
        return f"{self.path}[{index}]"

    def image(self, index: int) -> Pixels:
        image = np.asarray(self.images[index])
        return image if image.ndim == 3 else image[:, :, np.newaxis]

    def size(self, index: int) -> Size:
        return self.images.shape[1], self.images.shape[2]

    def content_digest(self, index: int) -> str:
        return _array_digest({"": self.images[index]})


@dataclass(frozen=True, eq=False)
class TensorArrays(TensorSource):
    """Tensors in one array (N, ...) for each input of the model."""

    path: Path
    arrays: dict[str, Array]
    labels: Labels | None = None

    def __len__(self) -> int:
        return len(next(iter(self.arrays.values())))

    def name(self, index: int) -> str:
        return f"{self.path}[{index}]"

    def tensors(self, index: int) -> dict[str, Array]:
        return {name: np.asarray(array[index]) for name, array in self.arrays.items()}

    def content_digest(self, index: int) -> str:
        return _array_digest(self.tensors(index))


def _array_digest(arrays: dict[str, Any]) -> str:
    digest = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype.str} {array.shape} ".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
