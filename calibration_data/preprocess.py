"""What happens to an image before the model: one value for every runner.

There are two steps, because the NPU takes pixels and has mean and std inside: ``pixels`` gives
what the NPU is fed, ``normalised`` what ONNX Runtime is fed. Padding happens in pixels, so all
runners see the same picture.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from ..core.diagnostics import option
from ..core.errors import OptionError, SamplesError
from .images.geometry import Pixels, Size, in_size
from .preprocessing import Color, Layout, Resize

LETTERBOX_PAD = 114  # the gray of the YOLO family, whose models are trained with it


@dataclass(frozen=True)
class Preprocess:
    """Size (H, W), geometry, colour order, mean and std in the 0..255 pixel scale, layout.

    ``mean`` and ``std`` have one value or one a channel, in the model's channel order. ``pad`` is
    a pixel value; None means 114 for letterbox and corner, the rounded mean for
    fit. Raises OptionError
    when the values contradict each other.

    >>> import numpy as np
    >>> gray = Preprocess(size=(2, 4), resize="letterbox", color="gray", mean=(14,), std=(50,))
    >>> pixels = gray.pixels(np.full((2, 2, 3), 64, dtype=np.uint8))
    >>> pixels[..., 0].tolist()
    [[114, 64, 64, 114], [114, 64, 64, 114]]
    >>> gray.normalised(pixels)[0, 0, 0].tolist()
    [2.0, 1.0, 1.0, 2.0]
    """

    size: Size
    resize: Resize = "stretch"
    pad: float | None = None
    color: Color = "rgb"
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    layout: Layout = "nchw"

    def __post_init__(self) -> None:
        # lists and whole numbers are welcome; two equal preprocesses must compare equal
        object.__setattr__(self, "size", tuple(int(length) for length in self.size))
        object.__setattr__(self, "mean", tuple(float(value) for value in self.mean))
        object.__setattr__(self, "std", tuple(float(value) for value in self.std))
        self._check_names()
        self._check_values()
        self._check_pad()

    @property
    def channels(self) -> int:
        """1 for gray, 3 otherwise."""
        return 1 if self.color == "gray" else 3

    @property
    def padding(self) -> tuple[int, ...]:
        """The pixel value of the padding, one a channel."""
        if self.pad is not None:
            return (round(self.pad),) * self.channels
        if self.resize == "fit":
            return tuple(min(255, max(0, round(value))) for value in self._each(self.mean))
        return (LETTERBOX_PAD,) * self.channels

    def pixels(self, image: Pixels) -> Pixels:
        """Return pixels of the input's size, uint8 (*size, channels).

        ``image`` is uint8 (H, W), (H, W, 1), (H, W, 3) RGB or (H, W, 4) RGBA. The channels are
        in the model's order; alpha is dropped. Raises SamplesError for an array
        that is not such an image.
        """
        ordered = _in_color(_three_axes(image), self.color)
        return in_size(ordered, self.resize, self.size, self.padding)

    def normalised(self, pixels: Pixels | NDArray[np.float32]) -> NDArray[np.float32]:
        """Return float32 (pixel - mean) / std, (1, C, H, W) or (1, H, W, C), of (H, W, C)."""
        mean = np.asarray(self.mean, dtype=np.float32)
        std = np.asarray(self.std, dtype=np.float32)
        scaled = (pixels.astype(np.float32) - mean) / std
        if self.layout == "nchw":
            scaled = np.ascontiguousarray(scaled.transpose(2, 0, 1))
        batch: NDArray[np.float32] = scaled[np.newaxis]
        return batch

    def is_planar(self, shape: tuple[int, ...]) -> bool:
        """Tell whether an input of this shape takes what ``normalised`` gives, channels first."""
        return self.layout == "nchw" and shape == (1, self.channels, *self.size)

    def _each(self, values: tuple[float, ...]) -> tuple[float, ...]:
        return values * self.channels if len(values) == 1 else values

    def _check_names(self) -> None:
        for name, value, choices in (
            ("resize", self.resize, get_args(Resize)),
            ("color", self.color, get_args(Color)),
            ("layout", self.layout, get_args(Layout)),
        ):
            if value not in choices:
                raise OptionError(
                    f"{option(name, value)} is not known", f"use {' or '.join(choices)}"
                )
        if len(self.size) != 2 or min(self.size) < 1:
            shown = "x".join(map(str, self.size))
            raise OptionError(
                f"{option('size', shown)} is not a height and a width", "give e.g. 224x224"
            )

    def _check_values(self) -> None:
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) not in (1, self.channels):
                expected = "1 value" if self.channels == 1 else f"1 or {self.channels} values"
                raise OptionError(
                    f"{option(name)} has {len(values)} values, but {self.color} takes {expected}",
                    "give one value for all channels or one a channel",
                )
            if not all(math.isfinite(value) for value in values):
                raise OptionError(f"{option(name, list(values))} is not finite", "give numbers")
        if min(self.std) <= 0:
            raise OptionError(
                f"{option('std', list(self.std))} holds a value that is not above 0",
                "the pixels are divided by std; use 1 where nothing is divided",
            )

    def _check_pad(self) -> None:
        if self.pad is None:
            return
        if self.resize not in ("letterbox", "corner", "fit"):
            raise OptionError(
                f"{option('pad', self.pad)} has no effect with {option('resize', self.resize)}",
                f"leave {option('pad')} out, or use {option('resize', 'letterbox')} or fit",
            )
        if not 0 <= self.pad <= 255 or self.pad != round(self.pad):
            raise OptionError(
                f"{option('pad', self.pad)} is not a pixel value",
                "give a whole number from 0 to 255",
            )


def suspicious_scale(mean: Sequence[float], std: Sequence[float]) -> str | None:
    """Return a warning when mean and std look like the 0..1 scale, with the converted values.

    None when they do not.

    >>> from rockpress.core.diagnostics import render
    >>> render(suspicious_scale((0.5,), (0.5,)))
    'mean=[0.5] std=[0.5] look like the 0..1 scale; pixels are 0..255: mean=[127.5] std=[127.5]'
    >>> suspicious_scale((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
    >>> suspicious_scale((0,), (1,))
    """
    small_mean = any(mean) and max(map(abs, mean)) <= 1
    small_std = max(map(abs, std)) < 1
    if not small_mean and not small_std:
        return None
    means = [255 * value for value in mean] if small_mean else list(mean)
    stds = [_pixel_std(value) for value in std]
    return (
        f"{option('mean', list(mean))} {option('std', list(std))} look like the 0..1 scale; "
        f"pixels are 0..255: {option('mean', list(means))} {option('std', list(stds))}"
    )


def _pixel_std(value: float) -> float:
    """Return std in the 0..255 scale; a tiny one such as 1/255 was meant as a factor."""
    if value > 1:
        return value
    return 1 / value if 0 < value < 0.02 else 255 * value


def _three_axes(image: Pixels) -> Pixels:
    shape = np.shape(image)
    if image.dtype != np.uint8 or len(shape) not in (2, 3) or 0 in shape:
        raise SamplesError(
            f"an array of shape {shape} and type {image.dtype} is not an image",
            "images are uint8 (H, W), (H, W, 1), (H, W, 3) or (H, W, 4)",
        )
    return image if len(shape) == 3 else image[:, :, np.newaxis]


def _in_color(image: Pixels, color: Color) -> Pixels:
    """Return the channels in the model's order, from RGB, RGBA or gray."""
    import cv2

    channels = image.shape[2]
    if channels not in (1, 3, 4):
        raise SamplesError(
            f"an image with {channels} channels is not gray, RGB or RGBA",
            "give other data as float tensors in a .npy or .npz file",
        )
    if color == "gray":
        if channels == 1:
            return image
        gray = cv2.cvtColor(np.ascontiguousarray(image[:, :, :3]), cv2.COLOR_RGB2GRAY)
        return np.asarray(gray, dtype=np.uint8)[:, :, np.newaxis]
    if channels == 1:
        return np.repeat(image, 3, axis=2)
    return np.ascontiguousarray(image[:, :, 2::-1] if color == "bgr" else image[:, :, :3])
