"""A small network that has what training of a quantized model tells apart."""

from __future__ import annotations

from onnx import ModelProto

from graphs import Weights, model_of

# a convolution, a depthwise one, a residual and a dense layer
_NET = """(float[1,3,8,8] x) => (float[1,5] y) {
    a = Conv <pads = [1,1,1,1]> (x, w1, b1)
    b = Relu (a)
    c = Conv <group = 8, pads = [1,1,1,1]> (b, w2, b2)
    d = Add (b, c)
    e = Conv (d, w3, b3)
    f = GlobalAveragePool (e)
    g = Flatten (f)
    y = Gemm (g, w4, b4) }"""
_WEIGHTS: Weights = {
    **{"w1": (8, 3, 3, 3), "b1": (8,), "w2": (8, 1, 3, 3), "b2": (8,)},
    **{"w3": (6, 8, 1, 1), "b3": (6,), "w4": (6, 5), "b4": (5,)},
}


def residual_net() -> ModelProto:
    """Return it: x 1x3x8x8 -> y 1x5, seeded weights."""
    return model_of(_NET, _WEIGHTS)
