"""The blocks that YOLOv5, v8, v10, 11 and YOLOX are built of."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from .graph import Graph, Tensor


def bottleneck(
    g: Graph,
    x: Tensor,
    kernels: tuple[int, int] = (3, 3),
    ratio: float = 0.5,
    shortcut: bool = True,
    act: str = "silu",
) -> Tensor:
    """Add two convolutions, and the input."""
    y = g.conv(x, int(x.channels * ratio), kernels[0], act=act)
    y = g.conv(y, x.channels, kernels[1], act=act)
    return g.add(x, y) if shortcut else y


def c3(
    g: Graph,
    x: Tensor,
    cout: int,
    n: int,
    shortcut: bool = True,
    kernels: tuple[int, int] = (1, 3),
    act: str = "silu",
) -> Tensor:
    """Add a cross-stage-partial block with three convolutions of its own (YOLOv5, YOLOX)."""
    a, b = g.conv(x, cout // 2, act=act), g.conv(x, cout // 2, act=act)
    for _ in range(n):
        a = bottleneck(g, a, kernels, 1.0, shortcut, act)
    return g.conv(g.cat([a, b]), cout, act=act)


def c2f(g: Graph, x: Tensor, cout: int, n: int, shortcut: bool = False) -> Tensor:
    """Add YOLOv8's block: every bottleneck's output goes to the last convolution."""
    return _c2f(g, x, cout, cout // 2, [partial(bottleneck, ratio=1.0, shortcut=shortcut)] * n)


def c3k2(g: Graph, x: Tensor, cout: int, n: int, nested: bool, ratio: float = 0.5) -> Tensor:
    """Add YOLO11's block: c2f with plain bottlenecks or with c3 blocks inside."""
    return _c2f(g, x, cout, int(cout * ratio), [_c3k if nested else bottleneck] * n)


def c2f_cib(g: Graph, x: Tensor, cout: int, n: int) -> Tensor:
    """Add YOLOv10's block: c2f with inverted, depthwise bottlenecks."""
    return _c2f(g, x, cout, cout // 2, [_cib] * n)


def _c2f(g: Graph, x: Tensor, cout: int, hidden: int, blocks: Sequence[object]) -> Tensor:
    parts = g.split(g.conv(x, 2 * hidden, act="silu"), [hidden, hidden])
    for block in blocks:
        assert callable(block)
        parts.append(block(g, parts[-1]))
    return g.conv(g.cat(parts), cout, act="silu")


def _c3k(g: Graph, x: Tensor) -> Tensor:
    return c3(g, x, x.channels, 2, kernels=(3, 3))


def _cib(g: Graph, x: Tensor) -> Tensor:
    c = x.channels
    y = g.conv(g.depthwise(x, act="silu"), 2 * c, act="silu")
    y = g.conv(g.depthwise(y, 7, act="silu"), c, act="silu")  # 7x7 and 3x3 merged for deployment
    return g.add(x, g.depthwise(y, act="silu"))


def sc_down(g: Graph, x: Tensor, cout: int) -> Tensor:
    """Add YOLOv10's downsampling: channels first, then space."""
    return g.depthwise(g.conv(x, cout, act="silu"), 3, 2)


def attention(g: Graph, x: Tensor) -> Tensor:
    """Add attention over all pixels, heads of 64 channels, and a depthwise position encoding."""
    _, c, high, wide = x.shape
    heads = max(c // 64, 1)
    size, key, pixels = c // heads, c // heads // 2, high * wide
    qkv = g.reshape(g.conv(x, c + 2 * key * heads), 1, heads, 2 * key + size, pixels)
    q, k, v = g.split(qkv, [key, key, size], axis=2)
    scores = g.softmax(g.scale(g.matmul(g.transpose(q, 0, 1, 3, 2), k), key**-0.5))
    mixed = g.reshape(g.matmul(v, g.transpose(scores, 0, 1, 3, 2)), *x.shape)
    return g.conv(g.add(mixed, g.depthwise(g.reshape(v, *x.shape))), c)


def psa(g: Graph, x: Tensor) -> Tensor:
    """Add attention and a small dense block on half of the channels."""
    half = x.channels // 2
    a, b = g.split(g.conv(x, 2 * half, act="silu"), [half, half])
    b = g.add(b, attention(g, b))
    b = g.add(b, g.conv(g.conv(b, 2 * half, act="silu"), half))
    return g.conv(g.cat([a, b]), x.channels, act="silu")


def pools_of_three(g: Graph, x: Tensor, size: int) -> Tensor:
    """Add a max pool of odd size as repeated 3x3 pools, as deployment exports do."""
    for _ in range(size // 2):
        x = g.pool(x, 3)
    return x


def sppf(g: Graph, x: Tensor, cout: int, act: str = "silu", small_pools: bool = False) -> Tensor:
    """Add three max pools of 5 in a row, all joined."""
    parts = [g.conv(x, x.channels // 2, act=act)]
    for _ in range(3):
        pooled = pools_of_three(g, parts[-1], 5) if small_pools else g.pool(parts[-1], 5)
        parts.append(pooled)
    return g.conv(g.cat(parts), cout, act=act)
