"""Which operators the installed toolkit takes off the NPU, beside what the table says.

Builds the operators as branches of one model, each alone where that fails, and compares where
their layers run with what ``audit`` foretells from convert/chips/operators.py. Prints one line for
each difference; none means that the table is right.

    python benchmarks/operators.py [TARGET ...]      (rk3588 if none is named)
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto, ValueInfoProto, helper, parser
from onnx.compose import add_prefix

from rockpress.convert.audit.model_audit import audit
from rockpress.convert.chips.compiler_log import Layer
from rockpress.convert.chips.targets import Target, find_target
from rockpress.convert.convert import convert
from rockpress.convert.request import ConversionRequest
from rockpress.core.errors import ToolkitError

OPSET = 18
BRANCH = re.compile(r"case(\d+)_")
# what reads x, and what the compiler joins or splits around it, is not the operator's own row
COMPANIONS = {"Reshape", "Transpose"}
PLANE = "float[1,16,20,20]"
UNARY = """Relu Sigmoid Tanh Elu Selu Softplus Softsign HardSigmoid HardSwish Exp Abs Neg Floor Ceil
Round Sign Sin Cos Tan Atan Sinh Cosh Erf LeakyRelu Celu GlobalAveragePool GlobalMaxPool Shrink
LpNormalization MeanVarianceNormalization ReduceMean ReduceSum ReduceMax ReduceMin ReduceProd
ReduceL1 ReduceL2 ReduceSumSquare ReduceLogSumExp ArgMax ArgMin LogSoftmax Softmax Mish""".split()
COMPARING = "Equal Greater Less GreaterOrEqual LessOrEqual".split()
# name -> constants and nodes from x to y
CASES: dict[str, str] = {
    **{name: f"{{ y = {name}(x) }}" for name in UNARY},
    **{name: f"<float k = {{0.1}}> {{ t = {name}(x, k) y = Cast<to=1>(t) }}" for name in COMPARING},
    **{
        f"{name} with a tensor": f"{{ s = Sigmoid(x) y = {name}(x, s) }}"
        for name in ("Add", "Sub", "Mul", "Div", "Max", "Min", "Sum", "Mean")
    },
    **{
        f"{name} with a number": f"<float k = {{3.0}}> {{ s = Sigmoid(x) y = {name}(s, k) }}"
        for name in ("Add", "Sub", "Mul", "Div", "Max", "Min", "Pow")
    },
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
    "LayerNormalization": f"<float[20] s = {{{','.join(['1'] * 20)}}}> "
    "{ y = LayerNormalization(x, s) }",
    "Trilu": "{ y = Trilu(x) }",
    "OneHot": "<int64 d = {16}, float[2] v = {0, 1}> "
    "{ m = ArgMax<axis=1, keepdims=0>(x) y = OneHot<axis=1>(m, d, v) }",
    "ScatterND": "<int64[1,4] i = {0,1,2,3}, float[1] u = {5}> { y = ScatterND(x, i, u) }",
    "Mod": "<float k = {0.7}> { y = Mod<fmod=1>(x, k) }",
    "Clip": "<float k = {0.0}, float l = {6.0}> { y = Clip(x, k, l) }",
    "GELU": "<float r = {1.4142135}, float o = {1.0}, float h = {0.5}> "
    "{ d = Div(x, r) e = Erf(d) f = Add(e, o) g = Mul(x, f) y = Mul(g, h) }",
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
}


def main(names: list[str]) -> None:
    """Compare for each target and number format."""
    for target in map(find_target, names):
        for quantization in ("float16", "normal"):
            if quantization == "float16" and "float16" not in target.dtypes:
                continue
            statuses = measured({n: model_of(t) for n, t in CASES.items()}, target, quantization)
            different = list(differences(statuses, target, quantization))
            print(f"{target.name} {quantization}: {len(CASES)} operators, {len(different)} differ")
            print("".join(f"  {line}\n" for line in different), end="", flush=True)


def differences(statuses: Mapping[str, str], target: Target, quantization: str) -> Iterator[str]:
    """Yield one line for each model of which the toolkit says something else than the table."""
    for name, text in CASES.items():
        codes = {
            warning.code for warning in audit(model_of(text), target, quantization=quantization)
        }
        foretold = "refused" if "toolkit-operator" in codes else "CPU" if codes else "NPU"
        if statuses[name] != foretold:
            yield f"{name}: {statuses[name]}, and the table says {foretold}"


def model_of(text: str) -> ModelProto:
    """Return a model of the nodes behind a Relu, with the type of the output inferred."""
    head = f'<ir_version: 8, opset_import: ["": {OPSET}]> '
    constants, _, nodes = text.rpartition("{ ")
    model = parser.parse_model(
        f"{head} g ({PLANE} image) => ({PLANE} y) {constants} {{ x = Relu(image) {nodes}"
    )
    model.graph.output[0].CopyFrom(ValueInfoProto(name="y"))
    return onnx.shape_inference.infer_shapes(model, data_prop=True)


def measured(models: Mapping[str, ModelProto], target: Target, quantization: str) -> dict[str, str]:
    """Return name -> CPU if a layer runs there, NPU if none does, refused if the build fails.

    Many are built as branches of one model, which is halved until the one that fails is alone.
    """
    names = list(models)
    try:
        layers = built(list(models.values()), target, quantization)
    except ToolkitError:
        if len(names) == 1:
            return {names[0]: "refused"}
        middle = len(names) // 2
        first, rest = ({n: models[n] for n in part} for part in (names[:middle], names[middle:]))
        return {**measured(first, target, quantization), **measured(rest, target, quantization)}
    slow = {
        int(match[1])
        for layer in layers
        if layer.runs_on == "CPU" and layer.op not in COMPANIONS and not layer.is_boundary
        for match in [BRANCH.search(layer.name)]
        if match
    }
    return {name: "CPU" if number in slow else "NPU" for number, name in enumerate(names)}


def built(models: Sequence[ModelProto], target: Target, quantization: str) -> tuple[Layer, ...]:
    """Return the layers of one model with all of them as branches, named case0_, case1_, ..."""
    branches = [add_prefix(model, f"case{number}_") for number, model in enumerate(models)]
    graph = helper.make_graph([], "operators", [branches[0].graph.input[0]], [])
    graph.input[0].name = "image"
    for number, branch in enumerate(branches):
        for node in branch.graph.node:
            node.input[:] = ["image" if n == f"case{number}_image" else n for n in node.input]
        graph.node.extend(branch.graph.node)
        graph.initializer.extend(branch.graph.initializer)
        graph.output.extend(branch.graph.output)
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", OPSET)])
    random = np.random.default_rng(0)
    samples = [
        {"image": random.standard_normal((1, 16, 20, 20), dtype=np.float32)} for _ in range(4)
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "operators.onnx"
        onnx.save(model, str(path))
        return convert(
            ConversionRequest(
                path, None, target.name, quantization=quantization, calibration=samples
            )
        ).layers


if __name__ == "__main__":
    main(sys.argv[1:] or ["rk3588"])
