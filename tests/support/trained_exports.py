"""Small models in the form of published ones: text, classes, faces and voice activity."""

from __future__ import annotations

import numpy as np
from onnx import ModelProto

from graphs import Weights, model_of

_PADDLE = "PaddlePaddle Graph 0"
CHARACTERS = "0\n1\n2\na\nb\n\u3000\n"


def recogniser(height: str = "48", characters: str | None = CHARACTERS) -> ModelProto:
    """Return a text recogniser of PaddleOCR: ?x3x48x? -> ?x?x8, with 6 characters and a space."""
    text = f"""(float[n,3,{height},w] x) => (float[n,steps,8] y) {{
        c = Conv <strides = [HEIGHT,8]> (x, w0) r = Relu (c) s = Squeeze (r, two)
        t = Transpose <perm = [0,2,1]> (s) m = MatMul (t, w1) a = Add (m, b1)
        y = Softmax <axis = 2> (a) }}"""
    side = 48 if height == "h" else int(height)
    weights: Weights = {
        **{"w0": (16, 3, side, 8), "w1": (16, 8), "b1": (8,)},
        "two": np.array([2]),
    }
    model = _from_paddle(text.replace("HEIGHT", str(side)), weights)
    if characters is not None:
        model.metadata_props.add(key="character", value=characters)
    return model


def text_detector() -> ModelProto:
    """Return a text detector of PaddleOCR: ?x3x?x? -> ?x1x?x?."""
    text = """(float[n,3,h,w] x) => (float[n,1,h2,w2] y) {
        c = Conv <strides = [2,2], pads = [1,1,1,1]> (x, w0) r = Relu (c)
        u = ConvTranspose <strides = [2,2]> (r, w1) i = Identity (u) a = Add (i, b1)
        y = Sigmoid (a) }"""
    weights = {"w0": (8, 3, 4, 4), "w1": (8, 1, 2, 2), "b1": (1, 1, 1, 1)}
    return _from_paddle(text, weights)


def line_direction() -> ModelProto:
    """Return a classifier of a line's direction of PaddleOCR: ?x3x?x? -> ?x2."""
    return _from_paddle(_classes("float[n,3,h,w] x", 2, "Clip"), _weights(2))


def page_direction() -> ModelProto:
    """Return a classifier of PaddleClas: ?x3x224x224 -> ?x4."""
    return _from_paddle(_classes("float[n,3,224,224] x", 4, "HardSwish"), _weights(4))


def imagenet(shape: str = "1,3,96,96", first: str = "") -> ModelProto:
    """Return a classifier of 1000 classes from PyTorch; ``first`` is what it begins with."""
    text = f"""(float[{shape}] x) => (float[1,1000] y) {{ {first}
        c = Conv <strides = [4,4]> ({"z" if first else "x"}, w0) r = Relu (c)
        p = GlobalAveragePool (r) f = Flatten (p) y = Gemm <transB = 1> (f, w1, b1) }}"""
    weights: Weights = {"w0": (8, 3, 4, 4), "w1": (1000, 8), "b1": (1000,), "half": np.array(0.5)}
    return _from_pytorch(model_of(text, weights, prepared=False))


def face(length: int = 128, first: str = "") -> ModelProto:
    """Return an embedding of faces: ?x3x112x112 -> ?x128."""
    text = f"""(float[n,3,112,112] x) => (float[n,{length}] y) {{ {first}
        c = Conv <strides = [16,16]> ({"z" if first else "x"}, w0) r = PRelu (c, slope)
        p = GlobalAveragePool (r) f = Flatten (p) y = Gemm <transB = 1> (f, w1) }}"""
    weights: Weights = {
        **{"w0": (8, 3, 16, 16), "w1": (length, 8), "slope": (8, 1, 1)},
        "half": np.array(127.5),
    }
    return _from_pytorch(model_of(text, weights, prepared=False))


def _classes(given: str, count: int, activation: str) -> str:
    bounds = "zero, six" if activation == "Clip" else ""
    more = f", {bounds}" if bounds else ""
    return f"""({given}) => (float[n,{count}] y) {{
        c = Conv <strides = [4,4]> (x, w0) r = {activation} (c{more})
        p = GlobalAveragePool (r) f = Flatten (p) m = MatMul (f, w1) a = Add (m, b1)
        s = Softmax <axis = 1> (a) y = Identity (s) }}"""


def _weights(count: int) -> Weights:
    shapes: Weights = {"w0": (8, 3, 4, 4), "w1": (8, count), "b1": (count,)}
    return {**shapes, "zero": np.array(0.0), "six": np.array(6.0)}


def _from_paddle(text: str, weights: Weights) -> ModelProto:
    model = model_of(text, weights, prepared=False)
    model.graph.name = _PADDLE
    return model


def _from_pytorch(model: ModelProto) -> ModelProto:
    model.producer_name, model.producer_version = "pytorch", "2.5.1"
    return model


def silero(*, states: tuple[str, ...] = ("state",), rate: bool = True) -> ModelProto:
    """Return Silero's form: a frame, states and a rate, which another network would be for."""
    width = 128 if states == ("state",) else 64
    given = ", ".join(f"float[2,n,{width}] {name}" for name in states)
    gives = ", ".join(f"float[2,n,{width}] {name}N" for name in states)
    mixed = " ".join(f"{name}M = Mul ({name}, most) {name}N = Add ({name}M, u)" for name in states)
    text = f"""(float[n,m] input, {given}{", int64 sr" if rate else ""})
        => (float[n,1] output, {gives}) {{
        e = MatMul (input, heard) u = Unsqueeze (e, zero)
        {mixed}
        m = ReduceMean <axes = [0, 2], keepdims = 0> ({states[0]}N) col = Unsqueeze (m, one)
        {"r = Cast <to = 1> (sr) d = Div (col, r)" if rate else "d = Div (col, high)"}
        k = Mul (d, high) output = Sigmoid (k) }}"""
    weights: Weights = {
        **{"zero": np.array([0]), "one": np.array([1])},
        "heard": (576 if states == ("state",) else 512, 1),
        **{"most": np.array(0.75), "high": np.array(16000.0)},
    }
    return model_of(text, weights, prepared=False)


def fsmn() -> ModelProto:
    """Return FunASR's form: features and four caches of 19 frames; 248 classes, caches."""
    caches = range(4)
    given = ", ".join(f"float[1,128,19,1] in_cache{i}" for i in caches)
    gives = ", ".join(f"float[1,128,c{i},1] out_cache{i}" for i in caches)
    layers = " ".join(
        f"j{i} = Concat <axis = 2> (in_cache{i}, h{i}) n{i} = Conv <group = 128> (j{i}, w{i}) "
        f"h{i + 1} = Relu (n{i}) out_cache{i} = Slice (j{i}, last, end, axis)"
        for i in caches
    )
    text = f"""(float[1,t,400] speech, {given}) => (float[1,t,248] logits, {gives}) {{
        m = MatMul (speech, wi) tr = Transpose <perm = [0,2,1]> (m) h0 = Unsqueeze (tr, three)
        {layers}
        sq = Squeeze (h4, three) back = Transpose <perm = [0,2,1]> (sq)
        o = MatMul (back, wo) logits = Softmax <axis = 2> (o) }}"""
    weights: Weights = {
        **{"wi": (400, 128), "wo": (128, 248), "three": np.array([3])},
        **{"last": np.array([-19]), "end": np.array([2**31]), "axis": np.array([2])},
        **{f"w{i}": (128, 1, 20, 1) for i in caches},
    }
    return model_of(text, weights, prepared=False)
