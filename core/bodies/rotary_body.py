"""Rotary position embedding (arXiv 2104.09864) as ONNX's RotaryEmbedding of opset 23 defines it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from ..types import Shape
from .body_builder import BodyBuilder

_INPUT, _COSINES, _SINES, _POSITIONS = range(4)


def rotary_embedding(body: BodyBuilder) -> Sequence[str] | None:
    """Write out x * cos + turned(x) * sin, as exporters for older opsets do.

    ONNX's own body joins a part of no channels, from which rknn-toolkit2 2.5.0 computes something
    else. Heads that lie side by side are told apart in place.
    """
    shape = body.shape(_INPUT)
    if shape is None:
        return None
    split, heads_axis = shape, 1
    if len(shape) == 3:
        heads, heads_axis = body.settings["num_heads"], 2
        split = (*shape[:2], heads, shape[2] // heads)
    size = body.settings.get("rotary_embedding_dim") or split[-1]
    x = body.input(_INPUT) if split == shape else body.reshaped(body.input(_INPUT), split)
    turning, rest = _parts(body, x, size, split[-1] - size)
    cosines, sines = (_factors(body, cache, heads_axis) for cache in (_COSINES, _SINES))
    straight = body.add("Mul", turning, cosines)
    turned = body.add("Mul", _turned(body, turning, (*split[:-1], size)), sines)
    result = body.add("Add", straight, turned)
    if rest:
        result = body.add("Concat", result, rest, axis=-1)
    return [result if split == shape else body.reshaped(result, shape)]


def _parts(body: BodyBuilder, x: str, *sizes: int) -> tuple[str, str]:
    """Two parts of the last axis, "" for one of nothing."""
    if not sizes[1]:
        return x, ""
    ends = [0, sizes[0], sum(sizes)]
    first, second = (
        body.add("Slice", x, *(body.constant(np.array([at], np.int64)) for at in (low, high, -1)))
        for low, high in pairwise(ends)
    )
    return first, second


def _turned(body: BodyBuilder, x: str, shape: Shape) -> str:
    """Each pair (a, b) of numbers as (-b, a): of halves, or of neighbours when interleaved."""
    is_interleaved, half = bool(body.settings.get("interleaved")), shape[-1] // 2
    if not is_interleaved:
        first, second = _parts(body, x, half, half)
        return body.add("Concat", body.add("Neg", second), first, axis=-1)
    pairs = body.reshaped(x, (*shape[:-1], half, 2))
    first, second = _parts(body, pairs, 1, 1)
    return body.reshaped(body.add("Concat", body.add("Neg", second), first, axis=-1), shape)


def _factors(body: BodyBuilder, cache: int, heads_axis: int) -> str:
    """Cosines or sines, one for each number that is turned; those of a pair are the same."""
    values = body.input(cache)
    if body.input(_POSITIONS):
        values = body.add("Gather", values, body.input(_POSITIONS))
    if not body.settings.get("interleaved"):
        return body.add_along(
            "Unsqueeze", body.add("Concat", values, values, axis=-1), [heads_axis]
        )
    single = body.add_along("Unsqueeze", values, [-1])
    pairs = body.add("Concat", single, single, axis=-1)
    return body.add_along("Unsqueeze", body.reshaped(pairs, [0, 0, -1]), [heads_axis])
