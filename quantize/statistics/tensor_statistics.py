"""The one pass over the calibration samples: what every method needs to know, streaming."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Sized
from dataclasses import dataclass, replace
from functools import reduce
from itertools import count as counted

import numpy as np
from onnx import ModelProto

from ...core.diagnostics import option
from ...core.errors import ModelError
from ...core.linear_systems import product
from ...core.progress import SILENT, Progress
from ...core.streaming.tensor_stream import lowest_of, stream
from ...core.types import Array, Feeds, Float32, Float64, SampleSet
from ..graph_parts.weighted_layers import WeightedLayer, blocks
from ..numeric.histogram import Histogram

# Positions of one image that count for a layer's second moments: neighbours say little new. Narrow
# layers need fewer, as they have fewer moments.
POSITIONS, FEW_POSITIONS, _NARROW = 64, 16, 64
# columns wait until one large product is worth its call
_PENDING_BYTES, _MOST_PENDING = 1 << 19, 1 << 10
_ROWS = 128  # of a covariance that are centred at once
# of the square of an input's mean: where its variance is less, rounding makes up most of that
_STILL = 64 * np.finfo(np.float32).eps


@dataclass(frozen=True)
class Calibration:
    """A float ``model``, the samples to gather its statistics on, and what for.

    ``methods`` are the names of those that will be applied. With ``symmetric`` all zero points are
    0 though they need not be. ``wide`` is the type of 16 bits that the chip has beside int8, for
    what an output joins; None leaves that in int8. ``logits`` are the outputs that a Sigmoid reads
    on the host. Without ``has_float16`` nothing is left in float.
    """

    model: ModelProto
    samples: SampleSet
    methods: tuple[str, ...]
    symmetric: bool = False
    seed: int = 0
    progress: Progress = SILENT
    wide: str | None = None
    logits: tuple[str, ...] = ()
    has_float16: bool = True


class InputMoments:
    """Mean and covariance of what a layer multiplies its weights with, summed sample by sample.

    In blocks of inputs, see weighted_layers.blocks; ``groups`` * blocks covariances of equal size,
    in float32 unless that is too small for them: they are damped before they are used. Inputs that
    vary by less than rounding can tell do not vary at all.
    """

    def __init__(self, groups: int, width: int) -> None:
        self.blocks = blocks(width)
        size = width // self.blocks
        self._count = 0
        self._sum = np.zeros((groups * self.blocks, size))
        products = np.zeros((groups * self.blocks, size, size), np.float32)
        self._products: Float32 | Float64 = products
        self._waiting: Float32 | None = None
        self._filled = 0

    def add(self, columns: Array) -> None:
        """Take in columns (groups, width, n)."""
        count = columns.shape[-1]
        if self._waiting is not None and self._filled + count > self._waiting.shape[-1]:
            self._flush()
        if self._waiting is None:
            room = min(_PENDING_BYTES // self._sum.size // 4, _MOST_PENDING)
            self._waiting = np.empty((*self._sum.shape, max(room, count)), np.float32)
        places = slice(self._filled, self._filled + count)
        self._waiting[:, :, places] = columns.reshape(*self._sum.shape, count)
        self._filled += count

    def _flush(self) -> None:
        if self._waiting is not None:
            columns = self._waiting[:, :, : self._filled]
            # with its own transpose: NumPy then computes one half and copies it
            products = product(columns, columns.transpose(0, 2, 1))
            if products.dtype != self._products.dtype:
                self._products = self._products.astype(np.float64)
            self._count += self._filled
            self._sum += columns.sum(axis=2, dtype=products.dtype)
            self._products += products
            self._waiting, self._filled = None, 0

    @property
    def mean(self) -> Float64:
        """Return the means, (groups * blocks, inputs)."""
        self._flush()
        return self._sum / max(self._count, 1)

    @property
    def variance(self) -> float:
        """Return the mean variance of the inputs."""
        self._flush()
        squares = self._products.diagonal(axis1=1, axis2=2)
        return float((squares / max(self._count, 1) - np.square(self.mean)).clip(0).mean())

    @property
    def covariance(self) -> Float64:
        """Return (groups * blocks, inputs, inputs), never with a negative eigenvalue."""
        mean = self.mean
        centred = self._products.astype(np.float64)
        centred /= max(self._count, 1)
        for start in range(0, mean.shape[1], _ROWS):  # or as much memory again
            rows = slice(start, start + _ROWS)
            centred[:, rows] -= mean[:, rows, None] * mean[:, None, :]
        every = np.arange(mean.shape[1])
        varies = centred[:, every, every] > _STILL * np.square(mean)
        if not varies.all():
            centred *= varies[:, :, None]
            centred *= varies[:, None, :]
        # of inputs that hardly vary this is what float32 has rounded: no more than so much
        noise = 16 * np.finfo(np.float32).eps * np.square(mean).sum(axis=1)
        centred[:, every, every] += noise[:, None]
        return centred

    def plus(self, other: InputMoments) -> InputMoments:
        """Return those of the columns of both."""
        self._flush()
        other._flush()
        both = InputMoments(len(self._sum), self._sum.shape[1])
        both.blocks = self.blocks
        both._count = self._count + other._count
        both._sum = self._sum + other._sum
        both._products = self._products + other._products
        return both

    def divided(self, by: Float64) -> InputMoments:
        """Return those of the same columns, each input divided ``by`` its own (groups, width)."""
        self._flush()
        other = InputMoments(by.shape[0], by.shape[1])
        factors = 1 / by.reshape(self._sum.shape)
        other._count = self._count
        other._sum = self._sum * factors
        other._products = self._products * (factors[:, :, None] * factors[:, None, :]).astype(
            np.float32
        )
        return other


def moments_of_all(
    layers: Iterable[WeightedLayer], moments: Mapping[str, InputMoments]
) -> InputMoments | None:
    """Return those of all that layers of one weight read, None where none of them has any."""
    own = [moments[layer.name] for layer in layers if layer.name in moments]
    return reduce(InputMoments.plus, own) if own else None


@dataclass(frozen=True)
class TensorStatistics:
    """Of ``count`` samples: a histogram of every tensor, and the moments by layer name."""

    count: int
    histograms: dict[str, Histogram]
    moments: dict[str, InputMoments]


NO_STATISTICS = TensorStatistics(0, {}, {})


def collect_statistics(
    model: ModelProto,
    tensors: Sequence[str],
    layers: Sequence[WeightedLayer],
    samples: Iterable[Feeds],
    *,
    seed: int = 0,
    before: TensorStatistics = NO_STATISTICS,
    progress: Progress = SILENT,
    activity: str = "calibrate",
    total: int | None = None,
) -> TensorStatistics:
    """Run the model on every sample, once. Memory does not depend on their number.

    The statistics from ``before``, of the same tensors and layers, are added to, and must not be
    used any more. ``total`` is the number of samples where they do not say it themselves, for the
    ``progress`` of the ``activity``.
    Raises ModelError when a tensor becomes infinite, SamplesError when there are no samples.
    """
    read = [layer for layer in layers if layer.has_columns]
    if not before.count:
        moments = {layer.name: InputMoments(layer.groups, layer.width) for layer in read}
        before = TensorStatistics(0, {name: Histogram() for name in tensors}, moments)
    histograms, moments, earlier = before.histograms, before.moments, before.count
    random = np.random.default_rng([seed, earlier])

    inputs = {layer.x for layer in read} - histograms.keys()
    places = counted()

    def take(values: Mapping[str, Array]) -> None:
        place = next(places)
        for name, histogram in histograms.items():
            histogram.add(values[name], lowest_of(values[name], name, place))
        for name in inputs:
            lowest_of(values[name], name, place)
        for layer in read:
            moments[layer.name].add(layer.columns(values[layer.x], some_positions(layer, random)))

    names = [*tensors, *(layer.x for layer in read)]
    total = len(samples) if isinstance(samples, Sized) else total
    count = stream(
        model,
        names,
        samples,
        take,
        lambda done: progress.step(activity, done, total),
        is_checked=False,  # here, where the lowest value is needed anyway
    )
    for name, histogram in histograms.items():
        if not np.isfinite(histogram.high - histogram.low):
            raise ModelError(
                f"the tensor {name!r} becomes infinite on the calibration samples",
                f"check {option('mean')} and {option('std')}: the samples may be scaled wrongly",
            )
    return replace(before, count=earlier + count)


def some_positions(
    layer: WeightedLayer, random: np.random.Generator, few: int = FEW_POSITIONS
) -> Array:
    """Return the flat positions, in order, of one sample that count: ``few`` of a narrow layer."""
    count = few if layer.width <= _NARROW else POSITIONS
    if layer.positions <= count:
        return np.arange(layer.positions)
    return np.sort(random.choice(layer.positions, count, replace=False, shuffle=False))
