"""Scaled dot-product attention (arXiv 1706.03762) as ONNX's Attention of opset 23 defines it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..types import Shape
from .body_builder import BodyBuilder

_QUERY, _KEY, _VALUE, _MASK, _PAST_KEY, _PAST_VALUE, _LENGTHS = range(7)


def attention(body: BodyBuilder) -> Sequence[str] | None:
    """Write out softmax(q k / sqrt(size) + mask) v, of one query head or several a key head.

    None where a shape is not known, and for what no exporter writes: the raw scores as an output,
    a causal mask behind earlier keys, keys of several lengths.
    """
    is_causal, has_past = bool(body.settings.get("is_causal")), bool(body.input(_PAST_KEY))
    query, keys = _head_shape(body, _QUERY, "q"), _head_shape(body, _KEY, "kv")
    values, past = _head_shape(body, _VALUE, "kv"), body.shape(_PAST_KEY)
    if body.input(_LENGTHS) or len(body.node.output) > 3 or (is_causal and has_past):
        return None
    if query is None or keys is None or values is None or (has_past and past is None):
        return None
    key, value = _by_head(body, _KEY, keys), _by_head(body, _VALUE, values)
    if has_past:
        key = body.add("Concat", body.input(_PAST_KEY), key, axis=2)
        value = body.add("Concat", body.input(_PAST_VALUE), value, axis=2)
    batch, heads, rows, size = query
    columns = keys[2] + (past[2] if past else 0)
    # the queries that share a key head follow each other, so they can be rows of one product
    shared = (batch, keys[1], heads // keys[1] * rows)
    scaled = _scaled(body, _reshaped(body, _by_head(body, _QUERY, query), query, (*shared, size)))
    scores = body.add("MatMul", scaled, body.add("Transpose", key, perm=[0, 1, 3, 2]))
    whole = (batch, heads, rows, columns)
    scores = _reshaped(body, scores, (*shared, columns), whole)
    if body.input(_MASK):
        scores = body.add("Add", scores, _mask(body))
    if is_causal:
        future = np.triu(np.full((rows, columns), -np.inf, np.float32), 1)
        scores = body.add("Add", scores, body.constant(future))
    weights = body.add("Softmax", _capped(body, scores), axis=-1)
    mixed = body.add("MatMul", _reshaped(body, weights, whole, (*shared, columns)), value)
    result = (batch, heads, rows, values[3])
    mixed = _reshaped(body, mixed, (*shared, values[3]), result)
    return [_as_given(body, mixed, result), key, value]


def _head_shape(body: BodyBuilder, position: int, kind: str) -> Shape | None:
    """Batch, heads, rows and the size of a head; in three axes the heads lie side by side."""
    shape = body.shape(position)
    if shape is None or len(shape) == 4:
        return shape
    heads = body.settings[f"{kind}_num_heads"]
    return (shape[0], heads, shape[1], shape[2] // heads)


def _by_head(body: BodyBuilder, position: int, shape: Shape) -> str:
    if len(body.shape(position) or ()) == 4:
        return body.input(position)
    batch, heads, rows, size = shape
    split = body.reshaped(body.input(position), (batch, rows, heads, size))
    return body.add("Transpose", split, perm=[0, 2, 1, 3])


def _as_given(body: BodyBuilder, x: str, shape: Shape) -> str:
    """The heads side by side again, where the query has them so."""
    if len(body.shape(_QUERY) or ()) == 4:
        return x
    batch, heads, rows, size = shape
    moved = body.add("Transpose", x, perm=[0, 2, 1, 3])
    return body.reshaped(moved, (batch, rows, heads * size))


def _reshaped(body: BodyBuilder, x: str, before: Shape, after: Shape) -> str:
    return x if before == after else body.reshaped(x, after)


def _scaled(body: BodyBuilder, query: str) -> str:
    sizes = _head_shape(body, _QUERY, "q") or (1,)
    scale = body.settings.get("scale", 1 / np.sqrt(sizes[-1]))
    return body.add("Mul", query, body.constant(float(scale)))


def _capped(body: BodyBuilder, scores: str) -> str:
    cap = float(body.settings.get("softcap", 0.0))
    if not cap:
        return scores
    tanh = body.add("Tanh", body.add("Div", scores, body.constant(cap)))
    return body.add("Mul", tanh, body.constant(cap))


def _mask(body: BodyBuilder) -> str:
    """What is added to the scores; a mask of truth values says which ones stay."""
    if not body.is_bool(_MASK):
        return body.input(_MASK)
    zero, hidden = body.constant(0.0), body.constant(-np.inf)
    return body.add("Where", body.input(_MASK), zero, hidden)
