"""The settings that are mistaken for one another, each as samples that are fed that way."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import get_args

import numpy as np

from ...calibration_data.images.geometry import Pixels
from ...calibration_data.preprocess import Preprocess
from ...calibration_data.preprocessing import Layout, Resize
from ...calibration_data.samples import Samples
from ...calibration_data.sources.source_types import (
    DerivedImages,
    DerivedSource,
    ImageSource,
    TensorSource,
)
from ...core.diagnostics import option
from ...core.types import Array

Values = tuple[float, ...]

_IMAGENET = ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
_CAFFE = ((123.68, 116.779, 103.939), (1.0, 1.0, 1.0))
# what models are trained with; three channels are in the order red, green, blue.
_NORMALISATIONS: Sequence[tuple[Values, Values]] = (
    ((0.0,), (255.0,)),
    ((0.0,), (1.0,)),
    ((127.5,), (127.5,)),
    _IMAGENET,
    _CAFFE,
)
_MEASURED = 64  # samples whose mean and standard deviation the model may be trained with


@dataclass(frozen=True)
class Variant:
    """The samples, fed in another way. ``subject`` is color, scale, mean-std, layout or resize.

    ``change`` says it as options, or in words what to change of tensors. Values that are only those
    of the samples are a ``guess``: the model's own may differ a little.
    """

    subject: str
    change: str
    samples: Samples
    guess: bool = False
    own: tuple[Values, Values] = ((), ())  # mean and standard deviation of the samples' pixels


def original(samples: Samples) -> Variant:
    """Return the samples as they are; images are decoded once for all variants of one sample."""
    source, preprocess = samples.source, samples.preprocess
    if preprocess is None or not isinstance(source, ImageSource):
        return Variant("", "", samples)
    caching = replace(samples, source=_LastImage(source))
    return Variant("", "", caching, own=_moments(caching, preprocess))


def _moments(samples: Samples, preprocess: Preprocess) -> tuple[Values, Values]:
    """Return each channel's mean and standard deviation on the first samples, to three digits."""
    assert isinstance(samples.source, ImageSource)
    first = samples.indices[:_MEASURED]
    images = (preprocess.pixels(samples.source.image(int(index))) for index in first)
    flat = np.concatenate([image.reshape(-1, preprocess.channels) for image in images])
    return tuple(map(_rounded, flat.mean(axis=0))), tuple(map(_rounded, flat.std(axis=0)))


def _rounded(value: float) -> float:
    return float(f"{value:.3g}")


def variants_of(current: Variant, first: Variant) -> list[Variant]:
    """Return all that differ from ``current`` in one respect, described as beside ``first``."""
    preprocess, before = current.samples.preprocess, first.samples.preprocess
    if preprocess is None or before is None:
        return list(_of_tensors(current))
    return [
        Variant(
            subject,
            options_of(other, before),
            replace(current.samples, preprocess=other),
            guess=(other.mean, other.std) == first.own,
        )
        for subject, other in _others(preprocess, first.own)
    ]


def _others(preprocess: Preprocess, own: tuple[Values, Values]) -> Iterator[tuple[str, Preprocess]]:
    if preprocess.channels == 3:
        yield "color", replace(preprocess, color="bgr" if preprocess.color == "rgb" else "rgb")
    tried = {(preprocess.mean, preprocess.std)}
    for subject, mean, std in (*_normalisations(preprocess), ("scale", *own)):
        if (mean, std) not in tried and min(std) > 0:
            tried.add((mean, std))
            yield subject, replace(preprocess, mean=mean, std=std)
    for resize in get_args(Resize):
        if resize != preprocess.resize:
            yield "resize", replace(preprocess, resize=resize, pad=None)
    if preprocess.channels == 3:
        layout: Layout = "nhwc" if preprocess.layout == "nchw" else "nchw"
        yield "layout", replace(preprocess, layout=layout)


def _normalisations(preprocess: Preprocess) -> Iterator[tuple[str, Values, Values]]:
    yield "mean-std", preprocess.std, preprocess.mean
    small = max(map(abs, preprocess.mean)) <= 1 and max(preprocess.std) <= 1
    if small:
        yield "scale", _times_255(preprocess.mean), _times_255(preprocess.std)
    for mean, std in _NORMALISATIONS:
        if len(mean) == 1:
            yield "scale", mean, std
        elif preprocess.channels == 3:
            back = -1 if preprocess.color == "bgr" else 1
            yield "scale", mean[::back], std[::back]


def _times_255(values: Values) -> Values:
    return tuple(255 * value for value in values)


def options_of(preprocess: Preprocess, original: Preprocess) -> str:
    """Return the options that make ``original`` into ``preprocess``.

    >>> from rockpress.core.diagnostics import render
    >>> other = Preprocess((4, 6), mean=(127.5,), std=(127.5,), color="bgr")
    >>> render(options_of(other, Preprocess((4, 6))))
    "color='bgr' mean=[127.5] std=[127.5]"
    """
    differs = {
        name: getattr(preprocess, name) != getattr(original, name)
        for name in ("color", "mean", "std", "resize", "layout")
    }
    differs["mean"] = differs["std"] = differs["mean"] or differs["std"]
    return " ".join(
        option(name, getattr(preprocess, name)) for name, other in differs.items() if other
    )


def _of_tensors(current: Variant) -> Iterator[Variant]:
    """Give those of one image-like input; for others no such mistake can be guessed."""
    shapes = list(current.samples.inputs.values())
    source = current.samples.source
    if len(shapes) != 1 or len(shapes[0]) != 4 or not isinstance(source, TensorSource):
        return
    _, channels, height, width = shapes[0]
    if channels not in (1, 3) or height * width == 1:
        return
    for subject, words, function in _TENSOR_CHANGES:
        if channels == 3 or subject == "scale":
            change = f"{current.change} and {words}" if current.change else words
            changed = _Changed(source, function, (channels, height, width))
            yield Variant(subject, change, replace(current.samples, source=changed))


@dataclass(eq=False)
class _LastImage(DerivedImages):
    """Remembers one image: all variants of a sample come one after the other."""

    source: ImageSource

    def __post_init__(self) -> None:
        self._read = lru_cache(maxsize=1)(self.source.image)

    def image(self, index: int) -> Pixels:
        return self._read(index)


@dataclass(eq=False)
class _Changed(DerivedSource, TensorSource):
    """Tensors as they would be had they been made otherwise; ``shape`` is (C, H, W)."""

    source: TensorSource
    change: Callable[[Array], Array]
    shape: tuple[int, int, int]

    def tensors(self, index: int) -> dict[str, Array]:
        return {
            name: self.change(array.reshape(self.shape)).astype(np.float32)
            for name, array in self.source.tensors(index).items()
        }


def _unreshaped(array: Array) -> Array:
    channels, height, width = array.shape
    return array.reshape(height, width, channels).transpose(2, 0, 1)


_TENSOR_CHANGES: Sequence[tuple[str, str, Callable[[Array], Array]]] = (
    ("color", "the channels in the opposite order (BGR for RGB)", lambda array: array[::-1]),
    ("scale", "values times 255", lambda array: array * 255),
    ("scale", "values divided by 255", lambda array: array / 255),
    ("layout", "axes transposed to (C, H, W) instead of reshaped", _unreshaped),
)
