"""The layers of what the compiler built, and how an application feeds it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class LayerRow:
    """One layer of the compiler's table, with its part of the latency estimate.

    ``op`` is the compiler's name after fusion, ``runs_on`` NPU or CPU; cycles are of one core.
    ``weight_bytes`` and ``feature_bytes`` are as stored on the device. ``sparse_ratio`` is the part
    of the weights that is left out along ``sparse_axis``. ``ms`` is None on a chip without a fit;
    ``bound`` is what most of it is spent on: compute, memory, activation, cpu or overhead.
    """

    index: int
    op: str
    dtype: str
    runs_on: str
    input_shapes: tuple[tuple[int, ...], ...]
    output_shapes: tuple[tuple[int, ...], ...]
    ddr_cycles: int
    npu_cycles: int
    total_cycles: int
    name: str
    weight_bytes: int
    feature_bytes: int
    sparse_ratio: float
    sparse_axis: Literal["output", "input"] | None
    ms: float | None
    bound: str


@dataclass(frozen=True)
class LayerTime:
    """What a layer of the original model takes, which is compiled to be compared with."""

    name: str
    total_cycles: int
    ms: float | None


@dataclass(frozen=True)
class FeedInput:
    """One input as the application hands it over.

    ``mean`` and ``std`` are applied inside, so ``normalisation`` is "inside" where there are any:
    the application must not apply them again. ``resize`` is how an image gets to the shape, and
    ``pad`` what is beside it, a pixel value a channel, where that leaves room.
    """

    name: str
    dtype: str  # uint8 or float32
    layout: str  # NHWC, or the model's own
    shape: tuple[int, ...]
    color: str | None = None  # rgb, bgr, gray; not stored in the .rknn, so said here
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    resize: str | None = None  # as the option; None for tensors
    pad: tuple[int, ...] | None = None
    normalisation: Literal["inside"] | None = None


@dataclass(frozen=True)
class FeedOutput:
    """One output; real value = (stored value - zero_point) * scale where these are given."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float | None = None
    zero_point: int | None = None


@dataclass(frozen=True)
class Feed:
    """How to feed a ``.rknn``, and what it gives.

    ``classes`` are the names of the classes by their indices, or the characters of a recogniser;
    () where nothing tells them.
    """

    inputs: tuple[FeedInput, ...]
    outputs: tuple[FeedOutput, ...]
    classes: tuple[str, ...] = ()
