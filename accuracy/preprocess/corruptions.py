"""Images as a worse camera would give them: noise, blur, JPEG and brightness at fixed levels.

The kinds are those of Hendrycks and Dietterich, Benchmarking Neural Network Robustness to Common
Corruptions and Perturbations, ICLR 2019; the levels are our own, two of each: one that a good model
should hardly notice, and one that costs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ...calibration_data.images.geometry import Pixels, Size
from ...calibration_data.samples import Samples
from ...calibration_data.sources.source_types import DerivedImages, ImageSource
from ...core.diagnostics import option
from ...core.errors import OptionError

Random = np.random.Generator


@dataclass(frozen=True)
class Corruption:
    """A kind and how much of it.

    noise: standard deviation of the pixel values. blur: standard deviation in pixels of the model's
    input, so that large photographs are blurred as much. jpeg: the quality. brightness: a factor.
    """

    kind: str
    level: float


LEVELS = (
    Corruption("noise", 10),
    Corruption("noise", 30),
    Corruption("blur", 1),
    Corruption("blur", 2),
    Corruption("jpeg", 40),
    Corruption("jpeg", 15),
    Corruption("brightness", 0.6),
    Corruption("brightness", 1.5),
)


def corrupted(samples: Samples, corruption: Corruption, seed: int) -> Samples:
    """Return the samples with every image changed before the preprocess; seeded for each image.

    Raises OptionError for samples that are no images.
    """
    source = samples.source
    if samples.preprocess is None or not isinstance(source, ImageSource):
        raise OptionError(
            f"{option('robustness')} changes images, and these samples are tensors",
            f"give images, or leave {option('robustness')} out",
        )
    return replace(samples, source=_Corrupted(source, corruption, samples.preprocess.size, seed))


@dataclass(frozen=True, eq=False)
class _Corrupted(DerivedImages):
    source: ImageSource
    corruption: Corruption
    input_size: Size
    seed: int

    def image(self, index: int) -> Pixels:
        image = self.source.image(index)
        random = np.random.default_rng([self.seed, index])
        shrunk = max(
            1.0, min(image.shape[0] / self.input_size[0], image.shape[1] / self.input_size[1])
        )
        level = self.corruption.level * (shrunk if self.corruption.kind == "blur" else 1)
        colours = np.ascontiguousarray(image[:, :, :3])
        return _KINDS[self.corruption.kind](colours, level, random)


def _noise(image: Pixels, level: float, random: Random) -> Pixels:
    return _pixels(image + random.normal(0, level, image.shape))


def _blur(image: Pixels, level: float, random: Random) -> Pixels:
    import cv2

    return _pixels(cv2.GaussianBlur(image, (0, 0), level).reshape(image.shape))


def _jpeg(image: Pixels, level: float, random: Random) -> Pixels:
    import cv2

    # what is red to us is blue to OpenCV, and back again
    order = [2, 1, 0] if image.shape[2] == 3 else [0]
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(level)]
    _, written = cv2.imencode(".jpg", np.ascontiguousarray(image[:, :, order]), quality)
    flag = cv2.IMREAD_COLOR if image.shape[2] == 3 else cv2.IMREAD_GRAYSCALE
    return _pixels(cv2.imdecode(written, flag).reshape(image.shape)[:, :, order])


def _brightness(image: Pixels, level: float, random: Random) -> Pixels:
    return _pixels(image * np.float64(level))


def _pixels(values: NDArray[np.generic]) -> Pixels:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


_KINDS: Mapping[str, Callable[[Pixels, float, Random], Pixels]] = {
    "noise": _noise,
    "blur": _blur,
    "jpeg": _jpeg,
    "brightness": _brightness,
}
