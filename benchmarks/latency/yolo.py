"""YOLOv5, v8, v10 and 11 as deployed: heads end before the decoding of boxes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx

from .graph import Graph, Tensor
from .yolo_blocks import c2f, c2f_cib, c3, c3k2, psa, sc_down, sppf

_CLASSES = 80
_SIDE = 640


@dataclass(frozen=True)
class Scale:
    """One size of a family: repeats, channels and the most channels."""

    depth: float
    width: float
    most: int = 1024

    def channels(self, nominal: int) -> int:
        """Return the channels of a layer that the full model gives ``nominal``, in steps of 8."""
        return int(np.ceil(min(nominal, self.most) * self.width / 8) * 8)

    def repeats(self, nominal: int) -> int:
        """Return the repeats of a block that the full model repeats ``nominal`` times."""
        return max(round(nominal * self.depth), 1)


V5 = {"n": Scale(0.33, 0.25), "s": Scale(0.33, 0.5), "m": Scale(0.67, 0.75)}
V8 = {"n": Scale(0.33, 0.25), "s": Scale(0.33, 0.5), "m": Scale(0.67, 0.75, 768)}
V10 = {"n": Scale(0.33, 0.25), "s": Scale(0.33, 0.5)}
V11 = {"n": Scale(0.5, 0.25), "s": Scale(0.5, 0.5), "m": Scale(0.5, 1.0, 512)}


def yolov5(scale: Scale, act: str = "silu", masks: bool = False) -> onnx.ModelProto:
    """Return YOLOv5, release 6 and later, as exported for the NPU.

    The 6x6 stem is written as the equal 2x2 and 3x3, as a layer table of such an export on a board
    shows it; three maps of 255 channels are behind a sigmoid.
    """
    g = Graph()
    c, n = scale.channels, scale.repeats
    x = g.conv(g.input(1, 3, _SIDE, _SIDE), 12, 2, 2, pads=(0, 0, 0, 0))
    x = g.conv(x, c(64), 3, act=act)
    x = c3(g, g.conv(x, c(128), 3, 2, act), c(128), n(3), act=act)
    p3 = c3(g, g.conv(x, c(256), 3, 2, act), c(256), n(6), act=act)
    p4 = c3(g, g.conv(p3, c(512), 3, 2, act), c(512), n(9), act=act)
    x = c3(g, g.conv(p4, c(1024), 3, 2, act), c(1024), n(3), act=act)
    top = g.conv(sppf(g, x, c(1024), act, small_pools=True), c(512), act=act)
    x = c3(g, g.cat([g.up(top), p4]), c(512), n(3), False, act=act)
    middle = g.conv(x, c(256), act=act)
    f3 = c3(g, g.cat([g.up(middle), p3]), c(256), n(3), False, act=act)
    f4 = c3(g, g.cat([g.conv(f3, c(256), 3, 2, act), middle]), c(512), n(3), False, act=act)
    f5 = c3(g, g.cat([g.conv(f4, c(512), 3, 2, act), top]), c(1024), n(3), False, act=act)
    outputs: list[Tensor] = []
    for f in (f3, f4, f5):
        outputs.append(g.act(g.conv(f, 3 * (5 + _CLASSES)), "sigmoid"))
        if masks:
            outputs.append(g.conv(f, 3 * 32))
    if masks:
        outputs.append(_prototypes(g, f3, c(256), transposed=False))
    return g.finish(*outputs)


def _prototypes(g: Graph, x: Tensor, hidden: int, transposed: bool) -> Tensor:
    """Add masks to be mixed: YOLOv5 enlarges by nearest, YOLOv8 by a transposed convolution."""
    x = g.conv(x, hidden, 3, act="silu")
    x = g.deconv(x, hidden) if transposed else g.up(x)
    return g.conv(g.conv(x, hidden, 3, act="silu"), 32, act="silu")


def yolov8(scale: Scale, task: str = "detect") -> onnx.ModelProto:
    """Return YOLOv8 for detection, obb, pose or segmentation."""
    g = Graph()
    c, n = scale.channels, scale.repeats
    x = g.conv(g.input(1, 3, _SIDE, _SIDE), c(64), 3, 2, "silu")
    x = c2f(g, g.conv(x, c(128), 3, 2, "silu"), c(128), n(3), True)
    p3 = c2f(g, g.conv(x, c(256), 3, 2, "silu"), c(256), n(6), True)
    p4 = c2f(g, g.conv(p3, c(512), 3, 2, "silu"), c(512), n(6), True)
    x = c2f(g, g.conv(p4, c(1024), 3, 2, "silu"), c(1024), n(3), True)
    top = sppf(g, x, c(1024))
    middle = c2f(g, g.cat([g.up(top), p4]), c(512), n(3))
    f3 = c2f(g, g.cat([g.up(middle), p3]), c(256), n(3))
    f4 = c2f(g, g.cat([g.conv(f3, c(256), 3, 2, "silu"), middle]), c(512), n(3))
    f5 = c2f(g, g.cat([g.conv(f4, c(512), 3, 2, "silu"), top]), c(1024), n(3))
    return g.finish(*_task_head(g, [f3, f4, f5], task, c(256)))


def yolov10(scale: Scale, inverted_backbone: bool) -> onnx.ModelProto:
    """Return YOLOv10, one-to-one head only; larger sizes have depthwise blocks in the backbone."""
    g = Graph()
    c, n = scale.channels, scale.repeats
    x = g.conv(g.input(1, 3, _SIDE, _SIDE), c(64), 3, 2, "silu")
    x = c2f(g, g.conv(x, c(128), 3, 2, "silu"), c(128), n(3), True)
    p3 = c2f(g, g.conv(x, c(256), 3, 2, "silu"), c(256), n(6), True)
    p4 = c2f(g, sc_down(g, p3, c(512)), c(512), n(6), True)
    x = sc_down(g, p4, c(1024))
    x = c2f_cib(g, x, c(1024), n(3)) if inverted_backbone else c2f(g, x, c(1024), n(3), True)
    top = psa(g, sppf(g, x, c(1024)))
    middle = c2f(g, g.cat([g.up(top), p4]), c(512), n(3))
    f3 = c2f(g, g.cat([g.up(middle), p3]), c(256), n(3))
    f4 = c2f(g, g.cat([g.conv(f3, c(256), 3, 2, "silu"), middle]), c(512), n(3))
    f5 = c2f_cib(g, g.cat([sc_down(g, f4, c(512)), top]), c(1024), n(3))
    return g.finish(*_detect(g, [f3, f4, f5], depthwise=True, sums=False))


def yolo11(scale: Scale, nested: bool = False, pose: bool = False) -> onnx.ModelProto:
    """Return YOLO11; ``nested``: size m and larger have c3 blocks inside every block.

    ``pose`` has raw key points in place of the sums of scores, and one class.
    """
    g = Graph()
    c, n = scale.channels, scale.repeats
    x = g.conv(g.input(1, 3, _SIDE, _SIDE), c(64), 3, 2, "silu")
    x = c3k2(g, g.conv(x, c(128), 3, 2, "silu"), c(256), n(2), nested, 0.25)
    p3 = c3k2(g, g.conv(x, c(256), 3, 2, "silu"), c(512), n(2), nested, 0.25)
    p4 = c3k2(g, g.conv(p3, c(512), 3, 2, "silu"), c(512), n(2), True)
    x = c3k2(g, g.conv(p4, c(1024), 3, 2, "silu"), c(1024), n(2), True)
    top = psa(g, sppf(g, x, c(1024)))
    middle = c3k2(g, g.cat([g.up(top), p4]), c(512), n(2), nested)
    f3 = c3k2(g, g.cat([g.up(middle), p3]), c(256), n(2), nested)
    f4 = c3k2(g, g.cat([g.conv(f3, c(256), 3, 2, "silu"), middle]), c(512), n(2), nested)
    f5 = c3k2(g, g.cat([g.conv(f4, c(512), 3, 2, "silu"), top]), c(1024), n(2), True)
    features = [f3, f4, f5]
    return g.finish(*(_raw_pose(g, features) if pose else _detect(g, features, depthwise=True)))


def _raw_pose(g: Graph, features: list[Tensor]) -> list[Tensor]:
    first = features[0].channels
    outputs = []
    for f in features:
        outputs += [_boxes(g, f, max(16, first // 4, 64)), g.conv(_light_pair(g, f, first), 1)]
        outputs.append(g.conv(_pair(g, f, max(first // 4, 51)), 51))
    return outputs


def _boxes(g: Graph, f: Tensor, hidden: int) -> Tensor:
    return g.conv(_pair(g, f, hidden), 64)


def _pair(g: Graph, f: Tensor, hidden: int) -> Tensor:
    return g.conv(g.conv(f, hidden, 3, act="silu"), hidden, 3, act="silu")


def _light_pair(g: Graph, f: Tensor, hidden: int) -> Tensor:
    for _ in range(2):
        f = g.conv(g.depthwise(f, act="silu"), hidden, act="silu")
    return f


def _detect(
    g: Graph, features: list[Tensor], depthwise: bool = False, sums: bool = True
) -> list[Tensor]:
    """Add for every scale box distributions, class scores, and their sum for a quick rejection."""
    outputs = []
    first = features[0].channels
    box, score = max(16, first // 4, 64), max(first, min(_CLASSES, 100))
    for f in features:
        outputs.append(_boxes(g, f, box))
        y = _light_pair(g, f, score) if depthwise else _pair(g, f, score)
        scores = g.act(g.conv(y, _CLASSES), "sigmoid")
        outputs.append(scores)
        if sums:
            outputs.append(g.clip(g.reduce("ReduceSum", scores, [1]), 0.0, 1.0))
    return outputs


def _task_head(g: Graph, features: list[Tensor], task: str, hidden: int) -> list[Tensor]:
    if task == "detect":
        return _detect(g, features)
    if task == "segment":
        outputs = _detect(g, features)
        first = max(features[0].channels // 4, 32)
        masks = [g.conv(_pair(g, f, first), 32) for f in features]
        rows = [[*outputs[3 * i : 3 * i + 3], masks[i]] for i in range(3)]
        prototypes = _prototypes(g, features[0], hidden, transposed=True)
        return [*(output for row in rows for output in row), prototypes]
    if task == "obb":
        return _oriented(g, features)
    return _pose(g, features)


def _joined(g: Graph, features: list[Tensor], classes: int) -> list[Tensor]:
    first = features[0].channels
    box, score = max(16, first // 4, 64), max(first, min(classes, 100))
    joined = []
    for f in features:
        scores = g.conv(_pair(g, f, score), classes)
        joined.append(g.cat([_boxes(g, f, box), scores]))
    return joined


def _flat(g: Graph, features: list[Tensor], hidden: int, count: int) -> Tensor:
    return _joined_rows(g, [g.conv(_pair(g, f, hidden), count) for f in features])


def _joined_rows(g: Graph, maps: list[Tensor]) -> Tensor:
    return g.cat([g.reshape(feature, 1, feature.channels, -1) for feature in maps], axis=2)


def _oriented(g: Graph, features: list[Tensor]) -> list[Tensor]:
    angle = _flat(g, features, max(features[0].channels // 4, 1), 1)
    return [*_joined(g, features, 15), g.act(angle, "sigmoid")]


def _pose(g: Graph, features: list[Tensor]) -> list[Tensor]:
    """Add boxes and scores as they are; 17 key points decoded to pixels inside the network.

    The source converts the key points to float16 after the first convolution on each scale
    (examples/yolov8_pose/python/convert.py), and its application reads them so.
    """
    hidden = max(features[0].channels // 4, 51)
    first = [g.conv(f, hidden, 3, act="silu") for f in features]
    with g.kept_in_float16():
        points = _key_points(g, [g.conv(g.conv(x, hidden, 3, act="silu"), 51) for x in first])
    return [*_joined(g, features, 1), points]


def _key_points(g: Graph, maps: list[Tensor]) -> Tensor:
    points = _joined_rows(g, maps)
    total = points.shape[2]
    where, visibility = g.split(g.reshape(points, 1, 17, 3, total), [2, 1], axis=2)
    anchors = g.constant(np.random.default_rng(1).random((2, total)).astype(np.float32))
    strides = g.constant(np.repeat([8.0, 16.0, 32.0], [6400, 1600, 400])[None].astype(np.float32))
    where = g.mul(g.add(g.scale(where, 2.0), anchors), strides)
    return g.cat([where, g.act(visibility, "sigmoid")], axis=2)
