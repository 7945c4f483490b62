"""Classifiers, face detectors and recognizers of text."""

from __future__ import annotations

from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx

from .graph import Graph, Tensor


def mobilenet_v2() -> onnx.ModelProto:
    """Return MobileNet v2 of width 1.0, with its classifier."""
    g = Graph()
    x = g.conv(g.input(1, 3, 224, 224), 32, 3, 2, "relu6")
    rows = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2)]
    for ratio, cout, count, stride in [*rows, (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]:
        for index in range(count):
            x = _inverted(g, x, ratio, cout, stride if index == 0 else 1)
    x = g.global_pool(g.conv(x, 1280, act="relu6"))
    return g.finish(g.gemm(g.reshape(x, 1, -1), 1000))


def _inverted(g: Graph, x: Tensor, ratio: int, cout: int, stride: int) -> Tensor:
    y = x if ratio == 1 else g.conv(x, ratio * x.channels, act="relu6")
    y = g.conv(g.depthwise(y, 3, stride, "relu6"), cout)
    return g.add(x, y) if stride == 1 and cout == x.channels else y


def resnet50_v2() -> onnx.ModelProto:
    """Return ResNet-50 with activations before the convolutions, as in the ONNX model zoo."""
    g = Graph()
    x = g.affine(g.input(1, 3, 224, 224))
    x = g.pool(g.conv(x, 64, 7, 2, "relu"), 3, 2, pad=1)
    for cout, count, stride in [(256, 3, 1), (512, 4, 2), (1024, 6, 2), (2048, 3, 2)]:
        for index in range(count):
            x = _before(g, x, cout, stride if index == 0 else 1)
    x = g.global_pool(g.act(g.affine(x), "relu"))
    return g.finish(g.gemm(g.reshape(x, 1, -1), 1000))


def _before(g: Graph, x: Tensor, cout: int, stride: int) -> Tensor:
    first = g.act(g.affine(x), "relu")
    y = g.conv(first, cout // 4, act="relu")
    y = g.conv(g.conv(y, cout // 4, 3, stride, "relu"), cout)
    return g.add(y, x if cout == x.channels else g.conv(first, cout, 1, stride))


def retinaface_mobile() -> onnx.ModelProto:
    """Return RetinaFace on MobileNet v1 of width 0.25, 320x320."""
    g = Graph()
    x = g.conv(g.input(1, 3, 320, 320), 8, 3, 2, "leaky")
    for cout, stride in [(16, 1), (32, 2), (32, 1), (64, 2), (64, 1)]:
        x = _separable(g, x, cout, stride)
    p3 = x
    for stride in (2, 1, 1, 1, 1, 1):
        x = _separable(g, x, 128, stride)
    p4 = x
    p5 = _separable(g, _separable(g, x, 256, 2), 256, 1)
    return _retina(g, [p3, p4, p5], 64, "leaky")


def _separable(g: Graph, x: Tensor, cout: int, stride: int) -> Tensor:
    return g.conv(g.depthwise(x, 3, stride, "leaky"), cout, act="leaky")


def retinaface_resnet50() -> onnx.ModelProto:
    """Return RetinaFace on ResNet-50 (stride in the 3x3), 320x320."""
    g = Graph()
    x = g.pool(g.conv(g.input(1, 3, 320, 320), 64, 7, 2, "relu"), 3, 2, pad=1)
    features = []
    for cout, count, stride in [(256, 3, 1), (512, 4, 2), (1024, 6, 2), (2048, 3, 2)]:
        for index in range(count):
            x = _residual(g, x, cout, stride if index == 0 else 1)
        features.append(x)
    return _retina(g, features[1:], 256, "relu")


def _residual(g: Graph, x: Tensor, cout: int, stride: int) -> Tensor:
    y = g.conv(g.conv(x, cout // 4, act="relu"), cout // 4, 3, stride, "relu")
    y = g.conv(y, cout)
    return g.act(g.add(y, x if cout == x.channels else g.conv(x, cout, 1, stride)), "relu")


def _retina(g: Graph, features: list[Tensor], hidden: int, act: str) -> onnx.ModelProto:
    """Add a feature pyramid, a context module and three heads on each scale."""
    p3, p4, p5 = (g.conv(f, hidden, act=act) for f in features)
    p4 = g.conv(g.add(p4, g.up(p5)), hidden, 3, act=act)
    p3 = g.conv(g.add(p3, g.up(p4)), hidden, 3, act=act)
    scales = [_context(g, p, act) for p in (p3, p4, p5)]
    boxes, classes, points = (
        g.cat([_rows(g, scale, size) for scale in scales]) for size in (4, 2, 10)
    )
    return g.finish(boxes, g.softmax(classes), points)


def _context(g: Graph, x: Tensor, act: str) -> Tensor:
    c = x.channels
    five = g.conv(x, c // 4, 3, act=act)
    seven = g.conv(g.conv(five, c // 4, 3, act=act), c // 4, 3)
    return g.act(g.cat([g.conv(x, c // 2, 3), g.conv(five, c // 4, 3), seven]), "relu")


def _rows(g: Graph, x: Tensor, size: int) -> Tensor:
    return g.reshape(g.transpose(g.conv(x, 2 * size), 0, 2, 3, 1), 1, -1, size)


def lprnet() -> onnx.ModelProto:
    """Return LPRNet for licence plates, 24x94; channels are thinned by pooling over them."""
    g = Graph()
    x = g.conv(g.input(1, 3, 24, 94), 64, 3, act="relu", pads=(0, 0, 0, 0))
    features = [x]
    x = g.act(_small(g, g.pool(x, 3, 1, pad=0), 128), "relu")
    features.append(x)
    x = g.act(_small(g, _pool_channels(g, x, (1, 2), 2), 256), "relu")
    x = g.act(_small(g, x, 256), "relu")
    features.append(x)
    x = g.conv(_pool_channels(g, x, (1, 2), 4), 256, (1, 4), act="relu", pads=(0, 0, 0, 0))
    x = g.conv(x, 68, (13, 1), act="relu", pads=(0, 0, 0, 0))
    features.append(x)
    shrunk = [_average(g, features[0], 5, 5, 5), _average(g, features[1], 5, 5, 5)]
    shrunk += [_average(g, features[2], 4, 10, 4, 2), features[3]]
    y = g.conv(g.cat([_normalized(g, feature) for feature in shrunk]), 68)
    return g.finish(g.reduce("ReduceMean", y, [2], keep=False))


def _small(g: Graph, x: Tensor, cout: int) -> Tensor:
    y = g.conv(x, cout // 4, act="relu")
    y = g.conv(y, cout // 4, (3, 1), act="relu", pads=(1, 0, 1, 0))
    y = g.conv(y, cout // 4, (1, 3), act="relu", pads=(0, 1, 0, 1))
    return g.conv(y, cout)


def _pool_channels(g: Graph, x: Tensor, strides: tuple[int, int], keep: int) -> Tensor:
    """Add a 3x3 max pool, then every ``keep``-th channel, with the channels turned into width."""
    high, wide = ((size - 3) // step + 1 for size, step in zip(x.shape[2:], strides, strict=True))
    x = g.op(
        "MaxPool", (x,), (1, x.channels, high, wide), kernel_shape=[3, 3], strides=list(strides)
    )
    x = g.transpose(x, 0, 3, 2, 1)
    thinned = (*x.shape[:3], (x.shape[3] - 1) // keep + 1)
    x = g.op("MaxPool", (x,), thinned, kernel_shape=[1, 1], strides=[1, keep])
    return g.transpose(x, 0, 3, 2, 1)


def _average(g: Graph, x: Tensor, high: int, wide: int, down: int, across: int = 0) -> Tensor:
    strides = [down, across or down]
    sizes = ((x.shape[2] - high) // strides[0] + 1, (x.shape[3] - wide) // strides[1] + 1)
    shape = (1, x.channels, *sizes)
    return g.op("AveragePool", (x,), shape, kernel_shape=[high, wide], strides=strides)


def _normalized(g: Graph, x: Tensor) -> Tensor:
    two = g.constant(np.array(2.0, np.float32))
    mean = g.reduce("ReduceMean", g.op("Pow", (x, two), x.shape), [0, 1, 2, 3], keep=False)
    return g.op("Div", (x, mean), x.shape)


def _packaged(file: str, sizes: tuple[int, ...], output: tuple[int, ...]) -> onnx.ModelProto:
    """Return a network of PP-OCR out of the package rapidocr-onnxruntime, its sizes fixed."""
    spec = find_spec("rapidocr_onnxruntime")
    if spec is None or spec.origin is None:
        raise SystemExit("install rapidocr-onnxruntime (requirements-models.txt)")
    model = onnx.load(Path(spec.origin).parent / "models" / file)
    for value, shape in ((model.graph.input[0], sizes), (model.graph.output[0], output)):
        for axis, size in zip(value.type.tensor_type.shape.dim, shape, strict=True):
            axis.dim_value = size
    del model.graph.value_info[:]
    return onnx.shape_inference.infer_shapes(model, data_prop=True)


ppocr_det = partial(_packaged, "ch_PP-OCRv4_det_infer.onnx", (1, 3, 480, 480), (1, 1, 480, 480))
ppocr_rec = partial(_packaged, "ch_PP-OCRv4_rec_infer.onnx", (1, 3, 48, 320), (1, 40, 6625))
