"""The operators that benchmarks/operators.py measures, as nodes from x to y in ONNX's text form.

Those that take any number of axes are measured in several structures: x is a plane of an image, as
behind a convolution, tokens as in a transformer, or a vector as before a classifier.
"""

from __future__ import annotations

import onnx
from onnx import ModelProto, ValueInfoProto, parser

OPSET = 18
SHAPE = (1, 16, 20, 20)  # of the image that all begin with
_IMAGE = f"float[{','.join(map(str, SHAPE))}]"
# name -> constants, nodes from the image to x, and the length of the last axis of x
STRUCTURES = {
    "plane": ("", "x = Relu(image)", 20),
    "tokens": (
        "int64[3] line = {1,16,400}",
        "relu = Relu(image) flat = Reshape(relu, line) x = Transpose<perm=[0,2,1]>(flat)",
        16,
    ),
    "vector": (
        "",
        "relu = Relu(image) pooled = GlobalAveragePool(relu) x = Flatten(pooled)",
        16,
    ),
}
_UNARY = """Relu Sigmoid Tanh Elu Selu Softplus Softsign HardSigmoid HardSwish Exp Abs Neg Floor
Ceil Round Sign Sin Cos Tan Atan Sinh Cosh Erf LeakyRelu Celu GlobalAveragePool GlobalMaxPool Shrink
LpNormalization MeanVarianceNormalization ReduceMean ReduceSum ReduceMax ReduceMin ReduceProd
ReduceL1 ReduceL2 ReduceSumSquare ReduceLogSumExp ArgMax ArgMin LogSoftmax Softmax Mish""".split()
_NEED_A_PLANE = {"GlobalAveragePool", "GlobalMaxPool", "MeanVarianceNormalization"}
_COMPARING = "Equal Greater Less GreaterOrEqual LessOrEqual".split()
# name -> constants and nodes from x to y, of operators that take any number of axes
_ANY_AXES: dict[str, str] = {
    **{name: f"{{ y = {name}(x) }}" for name in _UNARY},
    **{
        name: f"<float k = {{0.1}}> {{ t = {name}(x, k) y = Cast<to=1>(t) }}" for name in _COMPARING
    },
    **{
        f"{name} with a tensor": f"{{ s = Sigmoid(x) y = {name}(x, s) }}"
        for name in ("Add", "Sub", "Mul", "Div", "Max", "Min", "Sum", "Mean")
    },
    **{
        f"{name} with a number": f"<float k = {{3.0}}> {{ s = Sigmoid(x) y = {name}(s, k) }}"
        for name in ("Add", "Sub", "Mul", "Div", "Max", "Min", "Pow")
    },
    "GELU": "<float r = {1.4142135}, float o = {1.0}, float h = {0.5}> "
    "{ d = Div(x, r) e = Erf(d) f = Add(e, o) g = Mul(x, f) y = Mul(g, h) }",
}
# of those that need the plane of an image
_PLANE: dict[str, str] = {
    "Pow 2": "<float k = {2.0}> { s = Sigmoid(x) y = Pow(s, k) }",
    "Pow 1.5": "<float k = {1.5}> { s = Sigmoid(x) y = Pow(s, k) }",
    "Pow 0.5": "<float k = {0.5}> { s = Sigmoid(x) y = Pow(s, k) }",
    "Log": "{ s = Sigmoid(x) y = Log(s) }",
    "Sqrt": "{ s = Sigmoid(x) y = Sqrt(s) }",
    "Reciprocal": "{ s = Sigmoid(x) y = Reciprocal(s) }",
    "Div of a number": "<float k = {3.0}> { s = Sigmoid(x) y = Div(k, s) }",
    "Not": "<float k = {0.1}> { g = Greater(x, k) n = Not(g) y = Cast<to=1>(n) }",
    "Asin": "{ s = Sigmoid(x) y = Asin(s) }",
    "Acos": "{ s = Sigmoid(x) y = Acos(s) }",
    "GridSample": "<int64[1] b = {0}, int64[1] e = {2}, int64[1] a = {1}> "
    "{ c = Slice(x, b, e, a) g = Transpose<perm=[0,2,3,1]>(c) y = GridSample(x, g) }",
    "LayerNormalization over a plane": "<float[20,20] s = {"
    + ",".join(["0.9"] * 400)
    + "}> { y = LayerNormalization<axis=2, epsilon=0.00001>(x, s) }",
    "Trilu": "{ y = Trilu(x) }",
    "OneHot": "<int64 d = {16}, float[2] v = {0, 1}> "
    "{ m = ArgMax<axis=1, keepdims=0>(x) y = OneHot<axis=1>(m, d, v) }",
    "ScatterND": "<int64[1,4] i = {0,1,2,3}, float[1] u = {5}> { y = ScatterND(x, i, u) }",
    "Mod": "<float k = {0.7}> { y = Mod<fmod=1>(x, k) }",
    "Clip": "<float k = {0.0}, float l = {6.0}> { y = Clip(x, k, l) }",
    "normalisation": "<float two = {2.0}, float e = {0.00001}, int64[1] l = {3}> "
    "{ m = ReduceMean(x, l) d = Sub(x, m) p = Pow(d, two) v = ReduceMean(p, l) "
    "a = Add(v, e) s = Sqrt(a) y = Div(d, s) }",
    "MaxPool": "{ y = MaxPool<kernel_shape=[2,2], strides=[2,2]>(x) }",
    "AveragePool": "{ y = AveragePool<kernel_shape=[2,2], strides=[2,2]>(x) }",
    "AveragePool padded": "{ y = AveragePool<kernel_shape=[3,3], pads=[1,1,1,1]>(x) }",
    "LpPool": "{ y = LpPool<kernel_shape=[2,2], strides=[2,2]>(x) }",
    "LRN": "{ y = LRN<size=5>(x) }",
    "Softmax last axis": "{ y = Softmax<axis=3>(x) }",
    "TopK": "<int64[1] k = {4}> { y, i = TopK<axis=1>(x, k) }",
    "CumSum": "<int64 k = {1}> { y = CumSum(x, k) }",
    "Transpose": "{ y = Transpose<perm=[0,2,3,1]>(x) }",
    "Concat": "{ s = Sigmoid(x) y = Concat<axis=1>(x, s) }",
    "Split": "<int64[2] k = {5,11}> { y, z = Split<axis=1>(x, k) }",
    "Slice": "<int64[1] b = {3}, int64[1] e = {9}, int64[1] a = {1}> { y = Slice(x, b, e, a) }",
    "Slice by steps": "<int64[1] b = {0}, int64[1] e = {20}, int64[1] a = {2}, int64[1] s = {2}> "
    "{ y = Slice(x, b, e, a, s) }",
    "Gather": "<int64[3] k = {1,4,7}> { y = Gather<axis=1>(x, k) }",
    "GatherND": "<int64[2,2] k = {0,1,0,3}> { y = GatherND(x, k) }",
    "Tile": "<int64[4] k = {1,1,2,2}> { y = Tile(x, k) }",
    "Expand": "<int64[4] k = {1,16,20,20}> { g = GlobalAveragePool(x) y = Expand(g, k) }",
    "Pad": "<int64[8] k = {0,0,1,1,0,0,1,1}> { y = Pad(x, k) }",
    "DepthToSpace": "{ y = DepthToSpace<blocksize=2>(x) }",
    "SpaceToDepth": "{ y = SpaceToDepth<blocksize=2>(x) }",
    "Cast to an integer": "{ i = Cast<to=7>(x) y = Cast<to=1>(i) }",
    "RoiAlign": "<float[1,4] k = {0,0,5,5}, int64[1] b = {0}> "
    "{ y = RoiAlign<output_height=7, output_width=7>(x, k, b) }",
    "ReverseSequence": "<int64[1] k = {16}> "
    "{ y = ReverseSequence<batch_axis=0, time_axis=1>(x, k) }",
    "Resize nearest": '<float[4] k = {1,1,2,2}> { y = Resize<mode="nearest", '
    'nearest_mode="floor", coordinate_transformation_mode="asymmetric">(x, , k) }',
    **{
        f"Resize {mode}, {coordinates}, by {factor}": f"<float[4] k = {{1,1,{factor},{factor}}}> "
        f'{{ y = Resize<mode="{mode}", coordinate_transformation_mode="{coordinates}">(x, , k) }}'
        for mode, coordinates, factor in (
            ("linear", "half_pixel", 2.0),
            ("linear", "half_pixel", 1.5),
            ("linear", "half_pixel", 0.5),
            ("linear", "align_corners", 2.0),
            ("cubic", "half_pixel", 2.0),
        )
    },
    "NonZero": "{ n = NonZero(x) y = Cast<to=1>(n) }",
    "LayerNormalization, defaults left out": "<float[20] s = {"
    + ",".join(["0.9"] * 20)
    + "}> { y = LayerNormalization(x, s) }",
}


def operator_models() -> dict[str, ModelProto]:
    """Return name -> model of every operator in every structure that it is measured in."""
    models = {name: _model(text, "plane") for name, text in (_ANY_AXES | _PLANE).items()}
    for structure, (_, _, width) in STRUCTURES.items():
        texts = {} if structure == "plane" else _ANY_AXES
        texts = {n: t for n, t in texts.items() if n not in _NEED_A_PLANE} | _normalised(width)
        models |= {f"{name}, {structure}": _model(text, structure) for name, text in texts.items()}
    return models


def _normalised(width: int) -> dict[str, str]:
    """Return cases of LayerNormalization over the last axis of x, which has this length."""
    numbers = ",".join(f"{0.5 + index / width:.3f}" for index in range(width))
    scale, bias = (f"float[{width}] {name} = {{{numbers}}}" for name in ("s", "b"))
    call = "y = LayerNormalization<axis=-1, epsilon=0.00001>"
    return {
        "LayerNormalization": f"<{scale}> {{ {call}(x, s) }}",
        "LayerNormalization with a bias": f"<{scale}, {bias}> {{ {call}(x, s, b) }}",
    }


def _model(text: str, structure: str) -> ModelProto:
    """Return a model of the nodes behind x, with the type of the output inferred."""
    head = f'<ir_version: 8, opset_import: ["": {OPSET}]> '
    constants, _, nodes = text.rpartition("{ ")
    more, before, _ = STRUCTURES[structure]
    own = constants.strip().removeprefix("<").removesuffix(">")
    both = ", ".join(filter(None, (more, own)))
    listed = f"<{both}>" if both else ""
    model = parser.parse_model(
        f"{head} g ({_IMAGE} image) => ({_IMAGE} y) {listed} {{ {before} {nodes}"
    )
    model.graph.output[0].CopyFrom(ValueInfoProto(name="y"))
    return onnx.shape_inference.infer_shapes(model, data_prop=True)
