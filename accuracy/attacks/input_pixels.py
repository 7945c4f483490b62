"""The pixels of a model's input, which an attack changes: after the resize, before mean and std.

They are whole numbers of the image's own scale, 0 to 255, so that what is made is an image again.
What the resize leaves free is not the image's, and stays.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ...calibration_data.images.geometry import Pixels
from ...calibration_data.samples import Samples
from ...calibration_data.sources.source_types import ImageArray, ImageSource
from ...core.types import Float32

# rows and columns of the input in which an image lies
Region = tuple[slice, slice]


@dataclass(frozen=True)
class InputPixels:
    """Images (N, H, W, C), RGB or gray, in the size of the input, and where in it each one lies."""

    pixels: Pixels
    regions: tuple[Region, ...]

    def __len__(self) -> int:
        return len(self.pixels)


def input_pixels(samples: Samples) -> InputPixels:
    """Return what a model gets of the samples, which are images. Raises SamplesError."""
    pictures = [samples.picture(index) for index in range(len(samples))]
    regions = tuple(_region(samples, index) for index in range(len(samples)))
    return InputPixels(np.stack([each for each in pictures if each is not None]), regions)


def with_pixels(samples: Samples, pixels: Pixels) -> Samples:
    """Return samples, without labels, that feed these pixels (N, H, W, C) to the same model."""
    assert samples.preprocess is not None
    as_it_is = replace(samples.preprocess, resize="stretch", pad=None)
    source, indices = ImageArray(Path("attacked"), pixels), np.arange(len(pixels), dtype=np.int64)
    return replace(samples, source=source, preprocess=as_it_is, indices=indices, pool=None)


def normalised_pixels(samples: Samples, pixels: Float32) -> Float32:
    """Return the input (N, *shape) of pixels (N, H, W, C) that need not be whole numbers."""
    preprocess = samples.preprocess
    assert preprocess is not None
    ordered = pixels[..., ::-1] if preprocess.color == "bgr" else pixels
    shape = next(iter(samples.inputs.values()))
    return np.stack([preprocess.normalised(image).reshape(shape) for image in ordered])


def in_pixel_order(samples: Samples, values: Float32) -> Float32:
    """Return values of the input (N, *shape), such as its gradient, as (N, H, W, C)."""
    preprocess = samples.preprocess
    assert preprocess is not None
    height, width = preprocess.size
    if preprocess.layout == "nchw":
        planes = values.reshape(len(values), preprocess.channels, height, width)
        ordered = planes.transpose(0, 2, 3, 1)
    else:
        ordered = values.reshape(len(values), height, width, preprocess.channels)
    return ordered[..., ::-1] if preprocess.color == "bgr" else ordered


def _region(samples: Samples, index: int) -> Region:
    assert isinstance(samples.source, ImageSource)
    size = samples.source.size(int(samples.indices[index]))
    place = samples.placement(index)
    rows, columns = (
        slice(max(0, round(corner)), min(whole, round(corner + scale * length)))
        for corner, scale, length, whole in zip(
            place.corner, place.scale, size, place.size, strict=True
        )
    )
    return rows, columns
