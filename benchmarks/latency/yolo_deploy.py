"""YOLOv6, v7, YOLOX and PP-YOLOE as deployed: branches merged, heads cut before the decoding."""

from __future__ import annotations

from math import ceil

import onnx

from .graph import Graph, Tensor
from .yolo_blocks import c3, pools_of_three

_CLASSES = 80
_SIDE = 640


def _scores(g: Graph, x: Tensor) -> list[Tensor]:
    scores = g.act(x, "sigmoid")
    return [scores, g.clip(g.reduce("ReduceSum", scores, [1]), 0.0, 1.0)]


def yolov6(width: float, depth: float, partial: bool, bins: int) -> onnx.ModelProto:
    """Return YOLOv6 v3: plain 3x3 stacks (n, s) or cross-stage-partial ones (``partial``: m)."""
    g = Graph()

    def c(nominal: int) -> int:
        return ceil(nominal * width / 8) * 8

    def stage(x: Tensor, cout: int, nominal: int) -> Tensor:
        n = max(round(nominal * depth), 1)
        return _bep_c3(g, x, cout, n) if partial else _stack(g, x, cout, n)

    x = g.conv(g.input(1, 3, _SIDE, _SIDE), c(64), 3, 2, "relu")
    p2 = stage(g.conv(x, c(128), 3, 2, "relu"), c(128), 6)
    p3 = stage(g.conv(p2, c(256), 3, 2, "relu"), c(256), 12)
    p4 = stage(g.conv(p3, c(512), 3, 2, "relu"), c(512), 18)
    x = stage(g.conv(p4, c(1024), 3, 2, "relu"), c(1024), 6)
    top = g.conv(_pooled(g, x, plain=partial), c(256), act="relu")
    f4 = stage(_bi_fusion(g, top, p4, p3, c(256)), c(256), 12)
    middle = g.conv(f4, c(128), act="relu")
    f3 = stage(_bi_fusion(g, middle, p3, p2, c(128)), c(128), 12)
    f4 = stage(g.cat([g.conv(f3, c(128), 3, 2, "relu"), middle]), c(256), 12)
    f5 = stage(g.cat([g.conv(f4, c(256), 3, 2, "relu"), top]), c(512), 12)
    outputs: list[Tensor] = []
    for f in (f3, f4, f5):
        x = g.conv(f, f.channels, act="silu")
        outputs.append(g.conv(g.conv(x, f.channels, 3, act="silu"), 4 * (bins + 1)))
        outputs += _scores(g, g.conv(g.conv(x, f.channels, 3, act="silu"), _CLASSES))
    return g.finish(*outputs)


def _stack(g: Graph, x: Tensor, cout: int, n: int) -> Tensor:
    for _ in range(n):
        x = g.conv(x, cout, 3, act="relu")
    return x


def _bep_c3(g: Graph, x: Tensor, cout: int, n: int) -> Tensor:
    hidden = int(cout * 2 / 3)
    a, b = g.conv(x, hidden, act="relu"), g.conv(x, hidden, act="relu")
    for _ in range(n // 2):
        a = g.add(_stack(g, a, hidden, 2), g.scale(a, 0.9))  # a learnt weight
    return g.conv(g.cat([a, b]), cout, act="relu")


def _pooled(g: Graph, x: Tensor, plain: bool) -> Tensor:
    hidden = x.channels // 2
    inner = g.conv(x, hidden, act="relu")
    if not plain:
        inner = g.conv(g.conv(inner, hidden, 3, act="relu"), hidden, act="relu")
    parts = [inner]
    for _ in range(3):
        parts.append(g.pool(parts[-1], 5))
    if plain:
        return g.conv(g.cat(parts), x.channels, act="relu")
    y = g.conv(g.conv(g.cat(parts), hidden, act="relu"), hidden, 3, act="relu")
    return g.conv(g.cat([g.conv(x, hidden, act="relu"), y]), x.channels, act="relu")


def _bi_fusion(g: Graph, small: Tensor, same: Tensor, large: Tensor, cout: int) -> Tensor:
    down = g.conv(g.conv(large, cout, act="relu"), cout, 3, 2, "relu")
    parts = [g.deconv(small, cout), g.conv(same, cout, act="relu"), down]
    return g.conv(g.cat(parts), cout, act="relu")


def yolov7() -> onnx.ModelProto:
    """Return the full YOLOv7 in deployment form: 3x3 in place of the re-parametrized heads."""
    g = Graph()
    x = g.conv(g.input(1, 3, _SIDE, _SIDE), 32, 3, act="silu")
    x = g.conv(g.conv(x, 64, 3, 2, "silu"), 64, 3, act="silu")
    x = _elan(g, g.conv(x, 128, 3, 2, "silu"), 64, 256)
    p3 = _elan(g, _down(g, x, 128), 128, 512)
    p4 = _elan(g, _down(g, p3, 256), 256, 1024)
    x = _elan(g, _down(g, p4, 512), 256, 1024)
    top = _sppcspc(g, x, 512)
    x = g.cat([g.conv(p4, 256, act="silu"), g.up(g.conv(top, 256, act="silu"))])
    middle = _elan_wide(g, x, 256)
    x = g.cat([g.conv(p3, 128, act="silu"), g.up(g.conv(middle, 128, act="silu"))])
    f3 = _elan_wide(g, x, 128)
    f4 = _elan_wide(g, g.cat([_down(g, f3, 128), middle]), 256)
    f5 = _elan_wide(g, g.cat([_down(g, f4, 256), top]), 512)
    heads = [(f3, 256), (f4, 512), (f5, 1024)]
    return g.finish(*(_anchored(g, g.conv(f, c, 3, act="silu")) for f, c in heads))


def _anchored(g: Graph, f: Tensor) -> Tensor:
    return g.act(g.conv(f, 3 * (5 + _CLASSES)), "sigmoid")


def _elan(g: Graph, x: Tensor, hidden: int, cout: int) -> Tensor:
    b, a = g.conv(x, hidden, act="silu"), g.conv(x, hidden, act="silu")
    middle = _two(g, a, hidden)
    return g.conv(g.cat([_two(g, middle, hidden), middle, a, b]), cout, act="silu")


def _two(g: Graph, x: Tensor, cout: int) -> Tensor:
    return g.conv(g.conv(x, cout, 3, act="silu"), cout, 3, act="silu")


def _elan_wide(g: Graph, x: Tensor, cout: int) -> Tensor:
    parts = [g.conv(x, cout, act="silu"), g.conv(x, cout, act="silu")]
    for _ in range(4):
        parts.append(g.conv(parts[-1], cout // 2, 3, act="silu"))
    return g.conv(g.cat(parts[::-1]), cout, act="silu")


def _down(g: Graph, x: Tensor, cout: int) -> Tensor:
    pooled = g.conv(g.pool(x, 2, 2, pad=0), cout, act="silu")
    return g.cat([g.conv(g.conv(x, cout, act="silu"), cout, 3, 2, "silu"), pooled])


def _sppcspc(g: Graph, x: Tensor, cout: int) -> Tensor:
    y = g.conv(g.conv(g.conv(x, cout, act="silu"), cout, 3, act="silu"), cout, act="silu")
    parts = [y]
    for _ in range(3):
        parts.append(pools_of_three(g, parts[-1], 5))
    y = g.conv(g.conv(g.cat(parts), cout, act="silu"), cout, 3, act="silu")
    return g.conv(g.cat([y, g.conv(x, cout, act="silu")]), cout, act="silu")


def yolov7_tiny() -> onnx.ModelProto:
    """Return YOLOv7-tiny, with leaky ReLU throughout."""
    g = Graph()
    x = g.conv(g.input(1, 3, _SIDE, _SIDE), 32, 3, 2, "leaky")
    x = _tiny_block(g, g.conv(x, 64, 3, 2, "leaky"), 32, 64)
    p3 = _tiny_block(g, g.pool(x, 2, 2, pad=0), 64, 128)
    p4 = _tiny_block(g, g.pool(p3, 2, 2, pad=0), 128, 256)
    x = _tiny_block(g, g.pool(p4, 2, 2, pad=0), 256, 512)
    a, b = g.conv(x, 256, act="leaky"), g.conv(x, 256, act="leaky")
    pools = [pools_of_three(g, b, size) for size in (13, 9, 5)]
    top = g.conv(g.cat([*pools, b]), 256, act="leaky")
    top = g.conv(g.cat([top, a]), 256, act="leaky")
    x = g.cat([g.conv(p4, 128, act="leaky"), g.up(g.conv(top, 128, act="leaky"))])
    middle = _tiny_block(g, x, 64, 128)
    x = g.cat([g.conv(p3, 64, act="leaky"), g.up(g.conv(middle, 64, act="leaky"))])
    f3 = _tiny_block(g, x, 32, 64)
    f4 = _tiny_block(g, g.cat([g.conv(f3, 128, 3, 2, "leaky"), middle]), 64, 128)
    f5 = _tiny_block(g, g.cat([g.conv(f4, 256, 3, 2, "leaky"), top]), 128, 256)
    heads = [(f3, 128), (f4, 256), (f5, 512)]
    return g.finish(*(_anchored(g, g.conv(f, c, 3, act="leaky")) for f, c in heads))


def _tiny_block(g: Graph, x: Tensor, hidden: int, cout: int) -> Tensor:
    parts = [g.conv(x, hidden, act="leaky"), g.conv(x, hidden, act="leaky")]
    for _ in range(2):
        parts.append(g.conv(parts[-1], hidden, 3, act="leaky"))
    return g.conv(g.cat(parts[::-1]), cout, act="leaky")


def yolox(width: float, depth: float) -> onnx.ModelProto:
    """Return YOLOX: the focus stem as a 2x2 convolution; three maps of 85 channels."""
    g = Graph()
    w, n = (int(width * size) for size in (64, 256)), max(round(depth * 3), 1)
    base, head = w
    x = g.conv(g.input(1, 3, _SIDE, _SIDE), 12, 2, 2, pads=(0, 0, 0, 0))
    x = g.conv(x, base, 3, act="silu")
    x = c3(g, g.conv(x, 2 * base, 3, 2, "silu"), 2 * base, n)
    p3 = c3(g, g.conv(x, 4 * base, 3, 2, "silu"), 4 * base, 3 * n)
    p4 = c3(g, g.conv(p3, 8 * base, 3, 2, "silu"), 8 * base, 3 * n)
    x = _spp(g, g.conv(p4, 16 * base, 3, 2, "silu"))
    top = g.conv(c3(g, x, 16 * base, n, False), 8 * base, act="silu")
    middle = g.conv(c3(g, g.cat([g.up(top), p4]), 8 * base, n, False), 4 * base, act="silu")
    f3 = c3(g, g.cat([g.up(middle), p3]), 4 * base, n, False)
    f4 = c3(g, g.cat([g.conv(f3, 4 * base, 3, 2, "silu"), middle]), 8 * base, n, False)
    f5 = c3(g, g.cat([g.conv(f4, 8 * base, 3, 2, "silu"), top]), 16 * base, n, False)
    return g.finish(*(_decoupled(g, f, head) for f in (f3, f4, f5)))


def _spp(g: Graph, x: Tensor) -> Tensor:
    y = g.conv(x, x.channels // 2, act="silu")
    parts = [y, *(pools_of_three(g, y, size) for size in (5, 9, 13))]
    return g.conv(g.cat(parts), x.channels, act="silu")


def _decoupled(g: Graph, f: Tensor, hidden: int) -> Tensor:
    x = g.conv(f, hidden, act="silu")
    classes = g.act(g.conv(_two(g, x, hidden), _CLASSES), "sigmoid")
    boxes = _two(g, x, hidden)
    return g.cat([g.conv(boxes, 4), g.act(g.conv(boxes, 1), "sigmoid"), classes])


def ppyoloe(width: float, depth: float) -> onnx.ModelProto:
    """Return the first PP-YOLOE: swish, effective squeeze-and-excitation in every stage."""
    g = Graph()
    c = [max(round(size * width), 1) for size in (64, 128, 256, 512, 1024)]
    n = [max(round(count * depth), 1) for count in (3, 6, 6, 3)]
    x = g.conv(g.input(1, 3, _SIDE, _SIDE, name="image"), c[0] // 2, 3, 2, "silu")
    x = g.conv(g.conv(x, c[0] // 2, 3, act="silu"), c[0], 3, act="silu")
    features = []
    for cout, count in zip(c[1:], n, strict=True):
        x = _csp_res(g, x, cout, count)
        features.append(x)
    neck = _custom_pan(g, features[1:], width, max(round(3 * depth), 1))
    return g.finish(*(output for f in neck for output in _task_aligned(g, f)))


def _rep_block(g: Graph, x: Tensor) -> Tensor:
    return _two(g, x, x.channels)


def _csp_res(g: Graph, x: Tensor, cout: int, n: int) -> Tensor:
    middle = (x.channels + cout) // 2
    x = g.conv(x, middle, 3, 2, "silu")
    a, b = g.conv(x, middle // 2, act="silu"), g.conv(x, middle // 2, act="silu")
    for _ in range(n):
        b = g.add(b, _rep_block(g, b))
    joined = g.cat([a, b])
    gate = g.conv(g.global_pool(joined), joined.channels, act="hardsigmoid")
    return g.conv(g.mul(joined, gate), cout, act="silu")


def _csp_stage(g: Graph, x: Tensor, cout: int, n: int, spp: bool = False) -> Tensor:
    a, b = g.conv(x, cout // 2, act="silu"), g.conv(x, cout // 2, act="silu")
    for index in range(n):
        b = _rep_block(g, b)
        if spp and index == (n - 1) // 2:
            b = g.conv(g.cat([b, *(g.pool(b, size) for size in (5, 9, 13))]), cout // 2, act="silu")
    return g.conv(g.cat([a, b]), cout, act="silu")


def _custom_pan(g: Graph, features: list[Tensor], width: float, n: int) -> list[Tensor]:
    """Add a neck from the smallest map up and back down; return the smallest first."""
    c5, c4, c3_ = (max(round(size * width), 1) for size in (768, 384, 192))
    top = _csp_stage(g, features[2], c5, n, spp=True)
    x = g.up(g.conv(top, c5 // 2, act="silu"))
    middle = _csp_stage(g, g.cat([x, features[1]]), c4, n)
    x = g.up(g.conv(middle, c4 // 2, act="silu"))
    f3 = _csp_stage(g, g.cat([x, features[0]]), c3_, n)
    f4 = _csp_stage(g, g.cat([g.conv(f3, c3_, 3, 2, "silu"), middle]), c4, n)
    f5 = _csp_stage(g, g.cat([g.conv(f4, c4, 3, 2, "silu"), top]), c5, n)
    return [f5, f4, f3]


def _task_aligned(g: Graph, f: Tensor) -> list[Tensor]:
    mean = g.global_pool(f)

    def attended() -> Tensor:
        gate = g.conv(mean, f.channels, act="sigmoid")
        return g.conv(g.mul(f, gate), f.channels, act="silu")

    classes = g.conv(g.add(attended(), f), _CLASSES, 3)
    return [g.conv(attended(), 68, 3), *_scores(g, classes)]
