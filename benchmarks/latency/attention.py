"""Transformers: near enough in size and form, but not the published exports node for node."""

from __future__ import annotations

import onnx

from .graph import Graph, Tensor


def clip_images() -> onnx.ModelProto:
    """Return ViT-B/32 on 224x224: 50 tokens of 768, 12 layers, 12 heads, projected to 512."""
    g = Graph()
    x = g.conv(g.input(1, 3, 224, 224), 768, 32, 32, pads=(0, 0, 0, 0))
    x = g.transpose(g.reshape(x, 1, 768, -1), 0, 2, 1)
    x = g.cat([g.weight(1, 1, 768), x])
    x = g.layer_norm(g.add(x, g.weight(1, 50, 768)))
    for _ in range(12):
        x = _block(g, x, heads=12, hidden=4 * 768)
    first, _ = g.split(x, [1, 49])
    return g.finish(g.linear(g.layer_norm(g.reshape(first, 1, 768)), 512))


def clip_text() -> onnx.ModelProto:
    """Return a model of 20 tokens of 512 (looked up outside), 12 layers, 8 heads, a causal mask."""
    g = Graph()
    x = g.add(g.input(1, 20, 512, name="tokens"), g.weight(1, 20, 512))
    mask = g.weight(1, 1, 20, 20)
    for _ in range(12):
        x = _block(g, x, heads=8, hidden=4 * 512, mask=mask)
    _, last = g.split(g.layer_norm(x), [19, 1])
    return g.finish(g.linear(g.reshape(last, 1, 512), 512))


def lite_transformer_encoder() -> onnx.ModelProto:
    """Return an encoder of 16 tokens of 256, 5 layers with the normalization after, 4 heads."""
    g = Graph()
    x = g.input(1, 16, 256, name="tokens")
    for _ in range(5):
        x = g.layer_norm(g.add(x, _attend(g, x, 4, None)))
        x = g.layer_norm(g.add(x, g.linear(g.linear(x, 256, "relu"), 256)))
    return g.finish(x)


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
