"""Transformers: CLIP as it is exported, and the encoder of lite-transformer."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto

from .graph import Graph, Tensor


def clip_images() -> onnx.ModelProto:
    """Return ViT-B/32 on 224x224: 50 tokens of 768, 12 layers, 12 heads, projected to 512."""
    g = Graph()
    x = g.conv(g.input(1, 3, 224, 224), 768, 32, 32, pads=(0, 0, 0, 0))
    x = g.transpose(g.reshape(x, 1, 768, -1), 0, 2, 1)
    x = g.cat([g.weight(1, 1, 768), x], axis=1)
    x = g.layer_norm(g.add(x, g.weight(1, 50, 768)))
    for _ in range(12):
        x = _block(g, x, heads=12, hidden=4 * 768)
    first = g.op("Gather", (x, g.constant(np.array(0))), (1, 768), axis=1)
    return g.finish(_projected(g, g.layer_norm(first)))


def clip_text() -> onnx.ModelProto:
    """Return a model of 20 tokens of 512, 12 layers, 8 heads, a causal mask; of the last token."""
    g = Graph()
    tokens = g.input(1, 20, name="input_ids", dtype=TensorProto.INT64)
    x = g.op("Gather", (g.weight(49408, 512), tokens), (1, 20, 512))
    x = g.add(x, g.weight(1, 20, 512))
    mask = g.weight(1, 1, 20, 20)
    for _ in range(12):
        x = _block(g, x, heads=8, hidden=4 * 512, mask=mask)
    rows = g.reshape(g.layer_norm(x), 20, 512)
    integers = g.op("Cast", (tokens,), (1, 20), to=TensorProto.INT32)
    end = g.op("ArgMax", (integers,), (1,), axis=-1, keepdims=0)
    return g.finish(_projected(g, g.op("Gather", (rows, end), (1, 512), axis=0)))


def _projected(g: Graph, x: Tensor) -> Tensor:
    """Add a product to 512 values, of length 1 together."""
    y = g.matmul(x, g.weight(x.channels, 512, fan_in=x.channels))
    return g.op("Div", (y, g.reduce("ReduceL2", y, [-1])), y.shape)


def lite_transformer_encoder() -> onnx.ModelProto:
    """Return an encoder of 16 tokens of 256, 5 layers with the normalization after, 4 heads.

    The source's export (airockchip/lite-transformer) has the padding for a second input.
    """
    g = Graph()
    x = g.transpose(g.input(1, 16, 256, name="x"), 1, 0, 2)
    padding = g.input(1, 16, 16, name="encoder_padding_mask")
    for _ in range(5):
        x = g.layer_norm(g.add(x, _attend_unpadded(g, x, padding)))
        x = g.layer_norm(g.add(x, g.linear(g.linear(x, 256, "relu"), 256)))
    return g.finish(x)


def _attend_unpadded(g: Graph, x: Tensor, padding: Tensor, heads: int = 4) -> Tensor:
    """Add attention whose scores are replaced, by arithmetic, where there is padding."""
    tokens, _, width = x.shape
    size = width // heads

    def split(y: Tensor) -> Tensor:
        return g.transpose(g.reshape(y, tokens, heads, size), 1, 0, 2)

    q, k, v = g.scale(g.linear(x, width), size**-0.5), g.linear(x, width), g.linear(x, width)
    scores = g.matmul(split(q), g.transpose(split(k), 0, 2, 1))
    present = g.op("Sub", (g.constant(np.array(1.0, np.float32)), padding), padding.shape)
    scores = g.add(g.mul(scores, present), g.scale(padding, -12.0))
    mixed = g.transpose(g.matmul(g.softmax(scores), split(v)), 1, 0, 2)
    return g.linear(g.reshape(mixed, tokens, 1, width), width)


def _block(g: Graph, x: Tensor, heads: int, hidden: int, mask: Tensor | None = None) -> Tensor:
    x = g.add(x, _attend(g, g.layer_norm(x), heads, mask))
    y = g.linear(g.layer_norm(x), hidden)
    gate = g.act(g.scale(y, 1.702), "sigmoid")
    return g.add(x, g.linear(g.mul(y, gate), x.shape[2]))


def _attend(g: Graph, x: Tensor, heads: int, mask: Tensor | None) -> Tensor:
    _, tokens, width = x.shape
    size = width // heads

    def projected() -> Tensor:
        return g.transpose(g.reshape(g.linear(x, width), 1, tokens, heads, size), 0, 2, 1, 3)

    q, k, v = g.scale(projected(), size**-0.5), projected(), projected()
    scores = g.matmul(q, g.transpose(k, 0, 1, 3, 2))
    if mask is not None:
        scores = g.add(scores, mask)
    mixed = g.transpose(g.matmul(g.softmax(scores), v), 0, 2, 1, 3)
    return g.linear(g.reshape(mixed, 1, tokens, width), width)
