"""The settings that are mistaken for one another, each as samples that are fed that way."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import get_args

import numpy as np

from ...calibration_data.images.geometry import Pixels
from ...calibration_data.preprocess import Preprocess
from ...calibration_data.preprocessing import Resize
from ...calibration_data.samples import Samples
from ...calibration_data.sources.labels import Labels
from ...calibration_data.sources.source_types import ImageSource, TensorSource
from ...core.diagnostics import option
from ...core.types import Array

Values = tuple[float, ...]

_IMAGENET = ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
_CAFFE = ((123.68, 116.779, 103.939), (1.0, 1.0, 1.0))
# What models are trained with; three channels are in the order red, green, blue.
_NORMALISATIONS: Sequence[tuple[Values, Values]] = (
    ((0.0,), (255.0,)),
    ((0.0,), (1.0,)),
    ((127.5,), (127.5,)),
    _IMAGENET,
    _CAFFE,
)
_MEASURED = 64  # samples whose mean and standard deviation the model may be trained with
_TENSOR_CHANGES: Mapping[str, tuple[str, str]] = {
    "bgr": ("color", "the channels in the opposite order (BGR for RGB)"),
    "times255": ("scale", "values times 255"),
    "over255": ("scale", "values divided by 255"),
    "unreshape": ("layout", "axes transposed to (C, H, W) instead of reshaped"),
}


@dataclass(frozen=True)
class Variant:
    """One way to feed the same samples. ``subject`` is color, scale, mean-std, layout or resize.

    ``say`` is what to type for it, or in words what to change of tensors. Values that are only
    those of the samples are a ``guess``: the model's own may differ a little.
    """

    subject: str
    say: str
    samples: Samples
    guess: bool = False
    own: tuple[Values, Values] = ((), ())  # mean and standard deviation of the samples' pixels


def original(samples: Samples) -> Variant:
    """The samples as they are; images are decoded once for all variants of one sample."""
    source, how = samples.source, samples.preprocess
    if how is None or not isinstance(source, ImageSource):
        return Variant("", "", samples)
    known = replace(samples, source=_LastImage(source))
    return Variant("", "", known, own=_moments(known, how))


def _moments(samples: Samples, how: Preprocess) -> tuple[Values, Values]:
    """Mean and standard deviation of each channel over the first samples, to three digits."""
    assert isinstance(samples.source, ImageSource)
    first = samples.indices[:_MEASURED]
    pixels = [how.pixels(samples.source.image(int(index))) for index in first]
    flat = np.concatenate([one.reshape(-1, how.channels) for one in pixels])
    mean, std = flat.mean(axis=0), flat.std(axis=0)
    return tuple(_rounded(one) for one in mean), tuple(_rounded(one) for one in std)


def _rounded(value: float) -> float:
    return float(f"{value:.3g}")


def variants_of(now: Variant, first: Variant) -> list[Variant]:
    """All that differ from ``now`` in one respect; ``say`` tells what differs from ``first``."""
    if now.samples.preprocess is not None:
        return list(_of_images(now.samples, first))
    return list(_of_tensors(now))


def _of_images(samples: Samples, first: Variant) -> Iterator[Variant]:
    how, meant = samples.preprocess, first.samples.preprocess
    assert how is not None and meant is not None
    for subject, other in _others(how, first.own):
        fed = replace(samples, preprocess=other)
        guess = (other.mean, other.std) == first.own
        yield Variant(subject, options_of(other, meant), fed, guess)


def _others(how: Preprocess, own: tuple[Values, Values]) -> Iterator[tuple[str, Preprocess]]:
    if how.channels == 3:
        yield "color", replace(how, color="bgr" if how.color == "rgb" else "rgb")
    seen = {(how.mean, how.std)}
    for subject, mean, std in (*_normalisations(how), ("scale", *own)):
        if (mean, std) not in seen and min(std) > 0:
            seen.add((mean, std))
            yield subject, replace(how, mean=mean, std=std)
    for resize in get_args(Resize):
        if resize != how.resize:
            yield "resize", replace(how, resize=resize, pad=None)
    if how.channels == 3:
        yield "layout", replace(how, layout="nhwc" if how.layout == "nchw" else "nchw")


def _normalisations(how: Preprocess) -> Iterator[tuple[str, Values, Values]]:
    yield "mean-std", how.std, how.mean
    small = max(map(abs, how.mean)) <= 1 and max(how.std) <= 1
    if small:
        yield "scale", _times_255(how.mean), _times_255(how.std)
    for mean, std in _NORMALISATIONS:
        if len(mean) == 1:
            yield "scale", mean, std
        elif how.channels == 3:
            back = -1 if how.color == "bgr" else 1
            yield "scale", mean[::back], std[::back]


def _times_255(values: Values) -> Values:
    return tuple(255 * value for value in values)


def options_of(how: Preprocess, meant: Preprocess) -> str:
    """The options that make ``meant`` into ``how``.

    >>> one = Preprocess((4, 6), mean=(127.5,), std=(127.5,), color="bgr")
    >>> render(options_of(one, Preprocess((4, 6))))
    "color='bgr' mean=[127.5] std=[127.5]"
    """
    names = ["color"] if how.color != meant.color else []
    names += ["mean", "std"] if (how.mean, how.std) != (meant.mean, meant.std) else []
    names += [name for name in ("resize", "layout") if getattr(how, name) != getattr(meant, name)]
    return " ".join(option(name, getattr(how, name)) for name in names)


def _listed(values: Values) -> str:
    return ",".join(f"{value:.6g}" for value in values)


def _of_tensors(now: Variant) -> Iterator[Variant]:
    """For one image-like input; anything else has no such mistakes that could be guessed."""
    shapes = list(now.samples.inputs.values())
    source = now.samples.source
    if len(shapes) != 1 or len(shapes[0]) != 4 or not isinstance(source, TensorSource):
        return
    _, channels, height, width = shapes[0]
    if channels not in (1, 3) or height * width == 1:
        return
    for name, (subject, words) in _TENSOR_CHANGES.items():
        if channels == 3 or subject == "scale":
            said = f"{now.say} and {words}" if now.say else words
            changed = _Changed(source, name, (channels, height, width))
            yield Variant(subject, said, replace(now.samples, source=changed))


@dataclass(eq=False)
class _LastImage(ImageSource):
    """Remembers one image: all variants of a sample come one after the other."""

    source: ImageSource

    def __post_init__(self) -> None:
        self.labels: Labels | None = self.source.labels
        self._last: tuple[int, Pixels] | None = None

    def __len__(self) -> int:
        return len(self.source)

    def name(self, index: int) -> str:
        return self.source.name(index)

    def content_digest(self, index: int) -> str:
        return self.source.content_digest(index)

    def image(self, index: int) -> Pixels:
        if self._last is None or self._last[0] != index:
            self._last = index, self.source.image(index)
        return self._last[1]

    def size(self, index: int) -> tuple[int, int]:
        return self.source.size(index)


@dataclass(eq=False)
class _Changed(TensorSource):
    """Tensors as they would be had they been made otherwise; ``shape`` is (C, H, W)."""

    source: TensorSource
    change: str
    shape: tuple[int, int, int]

    def __post_init__(self) -> None:
        self.labels: Labels | None = self.source.labels

    def __len__(self) -> int:
        return len(self.source)

    def name(self, index: int) -> str:
        return self.source.name(index)

    def content_digest(self, index: int) -> str:
        return self.source.content_digest(index)

    def tensors(self, index: int) -> dict[str, Array]:
        change = _CHANGES[self.change]
        return {
            name: change(array.reshape(self.shape)).astype(np.float32)
            for name, array in self.source.tensors(index).items()
        }


def _unreshaped(array: Array) -> Array:
    channels, height, width = array.shape
    return array.reshape(height, width, channels).transpose(2, 0, 1)


_CHANGES: Mapping[str, Callable[[Array], Array]] = {
    "bgr": lambda array: array[::-1],
    "times255": lambda array: array * 255,
    "over255": lambda array: array / 255,
    "unreshape": _unreshaped,
}
