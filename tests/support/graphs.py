"""Models in code: from the text form of ONNX, with weights that are given or random."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import onnx
from numpy.typing import ArrayLike
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from rockpress.core.passes.prepare import fixed_input_shapes, prepare_model
from rockpress.core.types import Array

Samples = list[dict[str, Array]]
Shape = Sequence[int | str | None]
# A tuple is the shape of a random weight, everything else a value.
Weights = Mapping[str, ArrayLike]


def model_of(
    text: str,
    weights: Weights | None = None,
    *,
    opset: int = 17,
    domains: Iterable[str] = (),
    seed: int = 0,
    biases: float = 1.0,
    prepared: bool = True,
) -> ModelProto:
    """Return the model of ``text`` such as "(float[1,3,8,8] x) => (y) { y = Conv (x, w) }".

    Weights are read by ``random_weights``. An output without a type gets the one that is inferred;
    ``prepared`` is what rockpress does to every model that it reads.
    """
    imports = ", ".join([f'"": {opset}', *(f'"{domain}": 1' for domain in domains)])
    model = onnx.parser.parse_model(f"<ir_version: 8, opset_import: [{imports}]> net {text}")
    model.graph.initializer.extend(_tensors(random_weights(weights or {}, seed, biases=biases)))
    return prepare_model(model) if prepared else _with_types(model)


def model_of_nodes(
    nodes: Sequence[NodeProto],
    inputs: Mapping[str, Shape],
    outputs: Mapping[str, Shape | None],
    weights: Weights | None = None,
    *,
    opset: int = 17,
    dtype: int = TensorProto.FLOAT,
) -> ModelProto:
    """Return the model of nodes whose attributes are easier made in code than written as text.

    Inputs and outputs have one type; an output whose shape is None gets what is inferred.
    """
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info(name, dtype, shape) for name, shape in inputs.items()],
        [
            ValueInfoProto(name=name)
            if shape is None
            else helper.make_tensor_value_info(name, dtype, shape)
            for name, shape in outputs.items()
        ],
        _tensors(random_weights(weights or {})),
    )
    opsets = [helper.make_opsetid("", opset)]
    return _with_types(helper.make_model(graph, opset_imports=opsets, ir_version=8))


def random_weights(
    weights: Weights,
    seed: int | np.random.Generator = 0,
    *,
    biases: float = 1.0,
    scale: float | None = None,
) -> dict[str, Array]:
    """Return each weight as an array: a value in float32 where it is in float64, a shape at random.

    Random values are normal, of variance one over the product of ``shape[1:]``, those of one axis
    with the deviation ``biases``; ``scale`` is the deviation of all instead.
    """
    random = np.random.default_rng(seed)
    return {
        name: _normal(random, value, biases, scale) if isinstance(value, tuple) else _array(value)
        for name, value in weights.items()
    }


def random_feeds(
    inputs: ModelProto | Mapping[str, tuple[int, ...]],
    count: int,
    seed: int = 0,
    *,
    scale: float = 1.0,
    shift: float = 0.0,
) -> Samples:
    """Return ``count`` samples for a model, or for float32 inputs of these shapes: all normal."""
    dtypes: dict[str, int] = {}
    if isinstance(inputs, ModelProto):
        dtypes = {value.name: value.type.tensor_type.elem_type for value in inputs.graph.input}
        inputs = fixed_input_shapes(inputs)
    random = np.random.default_rng(seed)
    return [
        {
            name: np.asarray(
                scale * random.standard_normal(shape) + shift,
                helper.tensor_dtype_to_np_dtype(dtypes.get(name, TensorProto.FLOAT)),
            )
            for name, shape in inputs.items()
        }
        for _ in range(count)
    ]


SMALL_CNN = """(float[1,3,32,32] x) => (float[1,10] logits) {
    [stem] stem = Conv <pads = [1,1,1,1], strides = [2,2]> (x, "stem.weight", "stem.bias")
    [stem_relu] stem_relu = Relu (stem)
    [first] first = Conv <pads = [1,1,1,1]> (stem_relu, "first.weight", "first.bias")
    [first_relu] first_relu = Relu (first)
    [second] second = Conv <pads = [1,1,1,1]> (first_relu, "second.weight", "second.bias")
    [add] add = Add (second, stem_relu)
    [add_relu] add_relu = Relu (add)
    [depthwise] depthwise = Conv <group = WIDTH, pads = [1,1,1,1], strides = [2,2]>
        (add_relu, "depthwise.weight", "depthwise.bias")
    [depthwise_relu] depthwise_relu = Relu (depthwise)
    [pointwise] pointwise = Conv (depthwise_relu, "pointwise.weight", "pointwise.bias")
    [pointwise_relu] pointwise_relu = Relu (pointwise)
    [pool] pool = GlobalAveragePool (pointwise_relu)
    [flat] flat = Flatten <axis = 1> (pool)
    [logits] logits = Gemm <transB = 1> (flat, "fc.weight", "fc.bias") }"""


def small_cnn(width: int = 16) -> ModelProto:
    """Return a CNN with a residual and a depthwise block: x 1x3x32x32 -> logits 1x10."""
    random = np.random.default_rng(0)
    square = (width, width, 3, 3)
    shapes = {
        "stem": (width, 3, 3, 3),
        "first": square,
        "second": square,
        "depthwise": (width, 1, 3, 3),
        "pointwise": (2 * width, width, 1, 1),
        "fc": (10, 2 * width),
    }
    weights: dict[str, Array] = {}
    for name, shape in shapes.items():
        weights[f"{name}.weight"] = random.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:]))
        weights[f"{name}.bias"] = random.standard_normal(shape[0]) * 0.1
    model = model_of(SMALL_CNN.replace("WIDTH", str(width)), weights, prepared=False)
    onnx.checker.check_model(model, full_check=True)
    return model


def _normal(
    random: np.random.Generator, shape: tuple[int, ...], biases: float, scale: float | None
) -> Array:
    if scale is None:
        scale = biases if len(shape) == 1 else 1 / np.sqrt(np.prod(shape[1:]))
    return np.asarray(random.standard_normal(shape) * scale, np.float32)


def _array(value: ArrayLike) -> Array:
    array = np.asarray(value)
    return array.astype(np.float32) if array.dtype == np.float64 else array


def _tensors(arrays: Mapping[str, Array]) -> list[TensorProto]:
    return [numpy_helper.from_array(array, name) for name, array in arrays.items()]


def _with_types(model: ModelProto) -> ModelProto:
    if all(output.HasField("type") for output in model.graph.output):
        return model
    return onnx.shape_inference.infer_shapes(model, data_prop=True)
