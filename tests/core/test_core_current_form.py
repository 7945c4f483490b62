"""Models of any age and exporter: functions of their own, weights among the inputs, no shapes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, helper, numpy_helper

from graphs import random_feeds, random_weights
from rockpress.core.errors import ModelError
from rockpress.core.graphs.graph import Graph
from rockpress.core.graphs.model import load_model
from rockpress.core.passes.prepare import prepare_model
from rockpress.core.session import Session

HEADER = '<ir_version: 8, opset_import: ["": 17, "own": 1, "other": 3]> net '
SCALE = """
<domain: "own", opset_import: ["": 17]>
Scale <k: float = 2.0> (u) => (v) { c = Constant <value_float: float = @k> () v = Mul (u, c) }"""
NESTED = """
<domain: "own", opset_import: ["": 17, "other": 3]>
Outer (u) => (v) { w = other.Inner (u) v = Add (w, w) }
<domain: "other", opset_import: ["": 17]>
Inner (u) => (v) { v = Relu (u) }"""
OLDER = """
<domain: "own", opset_import: ["": 12]>
Raise (u) => (v) { v = Unsqueeze <axes = [0]> (u) }"""


def loaded(model: ModelProto, folder: Path) -> ModelProto:
    path = folder / "m.onnx"
    path.write_bytes(model.SerializeToString())
    return load_model(path)


def doubling(count: int) -> str:
    """Functions that each call the next twice; the last one calls the operator ``F<count>``."""
    return "".join(
        f"""
<domain: "own", opset_import: ["": 17, "own": 1]>
F{number} (u) => (v) {{ w = own.F{number + 1} (u) v = own.F{number + 1} (w) }}"""
        for number in range(count)
    )


END = """
<domain: "own", opset_import: ["": 17]>
F{} (u) => (v) {{ v = Relu (u) }}"""


@pytest.mark.parametrize(
    ("functions", "said"),
    [
        (doubling(30) + END.format(30), "have more than 500,000 nodes in all"),
        (doubling(1).replace("F1", "F0"), "the function 'F0' calls itself"),
        (doubling(2).replace("F2", "F0"), "calls itself"),
    ],
)
def test_functions_without_an_end(functions: str, said: str, tmp_path: Path) -> None:
    text = "(float[2] x) => (float[2] y) { y = own.F0 (x) }"
    with pytest.raises(ModelError, match=said):
        loaded(onnx.parser.parse_model(HEADER + text + functions), tmp_path)


def test_functions_of_many_calls(tmp_path: Path) -> None:
    text = "(float[2] x) => (float[2] y) { y = own.F0 (x) }"
    flat = loaded(onnx.parser.parse_model(HEADER + text + doubling(8) + END.format(8)), tmp_path)
    assert [node.op_type for node in flat.graph.node] == 2**8 * ["Relu"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "(float[2] x) => (float[2] y) { a = own.Scale <k = 3.0> (x) y = own.Scale (a) }",
            [-6, 12],
        ),
        ("(float[2] x) => (float[2] y) { y = own.Outer (x) }", [0, 4]),
        ("(float[2] x) => (float[1,2] y) { y = own.Raise (x) }", [[-1, 2]]),
        (
            """(float[2] x) => (float[2] y) {
                s = Constant <value_ints = [2]> () t = Shape (x) c = Equal (s, t)
                y = If (c) <then_branch = g () => (float[2] p) { p = own.Outer (x) },
                            else_branch = h () => (float[2] q) { q = Identity (x) }> }""",
            [0, 4],
        ),
    ],
)
def test_functions_of_a_model_are_inlined(text: str, expected: list[float], tmp_path: Path) -> None:
    model = onnx.parser.parse_model(HEADER + text + SCALE + NESTED + OLDER)
    flat = loaded(model, tmp_path)
    assert not flat.functions
    assert {entry.domain for entry in flat.opset_import} == {""}
    (result,) = Session(prepare_model(flat)).run({"x": np.array([-1, 2], np.float32)})
    np.testing.assert_array_equal(result, np.array(expected, np.float32))


def test_a_function_that_is_not_there_is_named(tmp_path: Path) -> None:
    text = "(float[2] x) => (float[2] y) { [here] y = own.Lost (x) }"
    with pytest.raises(ModelError, match=r"node 'here' uses the unsupported operator own::Lost"):
        loaded(onnx.parser.parse_model(HEADER + text + SCALE), tmp_path)


def test_data_of_a_function_outside_the_folder_is_refused(tmp_path: Path) -> None:
    body = '<domain: "own", opset_import: ["": 17]> F (u) => (v) { c = Constant () v = Mul (u, c) }'
    text = "(float[2] x) => (float[2] y) { y = own.F (x) }"
    model = onnx.parser.parse_model(HEADER + text + body)
    tensor = onnx.TensorProto(data_type=1, dims=[2], data_location=onnx.TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="../secret")
    model.functions[0].node[0].attribute.append(helper.make_attribute("value", tensor))
    with pytest.raises(ModelError, match="outside the model's folder"):
        loaded(model, tmp_path)


@pytest.mark.parametrize("opset", [7, 8, 9])
def test_weights_that_an_old_ir_lists_as_inputs(opset: int, tmp_path: Path) -> None:
    text = """(float[1,3,6,6] x) => (float[1,4,6,6] y) {
        c = Conv <pads = [1,1,1,1]> (x, w, b)
        n = BatchNormalization (c, scale, shift, mean, variance)
        d = Dropout (n)
        y = Relu (d) }"""
    shapes = {"w": (4, 3, 3, 3), "b": (4,), "scale": (4,), "shift": (4,), "mean": (4,)}
    weights = random_weights({**shapes, "variance": np.linspace(0.5, 2, 4)})
    model = onnx.parser.parse_model(f'<ir_version: 3, opset_import: ["": {opset}]> net {text}')
    for name, value in weights.items():
        model.graph.initializer.append(numpy_helper.from_array(value, name))
        model.graph.input.append(helper.make_tensor_value_info(name, 1, value.shape))
    prepared = prepare_model(loaded(model, tmp_path))
    assert [node.op_type for node in prepared.graph.node] == ["Conv", "Relu"]
    assert [value.name for value in prepared.graph.input] == ["x"]
    (feeds,) = random_feeds({"x": (1, 3, 6, 6)}, 1)
    (expected,), (result,) = Session(model).run(feeds), Session(prepared).run(feeds)
    np.testing.assert_allclose(result, expected, atol=1e-5)


def test_an_output_that_is_a_sequence_of_maps(tmp_path: Path) -> None:
    """What scikit-learn's exporter gives beside the label."""
    maps = helper.make_map_type_proto(
        onnx.TensorProto.INT64, helper.make_tensor_type_proto(1, None)
    )
    probabilities = helper.make_value_info("y", helper.make_sequence_type_proto(maps))
    text = '<ir_version: 8, opset_import: ["": 17, "ai.onnx.ml": 1]> g (float[1,2] x) => () {'
    model = onnx.parser.parse_model(f"{text} a = Relu (x) }}")
    node = helper.make_node("ZipMap", ["a"], ["y"], domain="ai.onnx.ml", classlabels_int64s=[3, 5])
    model.graph.node.append(node)
    model.graph.output.append(probabilities)
    prepared = prepare_model(loaded(model, tmp_path))
    (result,) = Session(prepared).run({"x": np.array([[1, 2]], np.float32)})
    assert result == [{3: 1.0, 5: 2.0}]


def test_an_input_that_is_a_sequence_is_refused(tmp_path: Path) -> None:
    text = "(seq(float[2]) x) => (float[2] y) { i = Constant <value = int64 {0}> () "
    model = onnx.parser.parse_model(f"{HEADER} {text} y = SequenceAt (x, i) }}")
    with pytest.raises(ModelError, match="input 'x' is no tensor but a sequence_type"):
        prepare_model(loaded(model, tmp_path))


@pytest.mark.parametrize("text", ["y = Relu (x)", "t = Shape (x) y = Reshape (x, t)"])
def test_an_output_without_a_shape(text: str, tmp_path: Path) -> None:
    model = onnx.parser.parse_model(f"{HEADER} (float[2,3] x) => (float y) {{ {text} }}")
    model.graph.output[0].type.tensor_type.ClearField("shape")
    assert Graph(prepare_model(loaded(model, tmp_path))).shapes["y"] == (2, 3)
