"""What prune and quantize write may have other types than the file; that is told."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from commands import Run
from rockpress.core.types import Array
from rockpress.pipeline.samples.ready_model import ready_model


def of_type(path: Path, kind: int) -> Path:
    """Write the same model with floats of another type."""
    model, numpy_type = onnx.load(path), helper.tensor_dtype_to_np_dtype(kind)
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            value: Array = numpy_helper.to_array(tensor).astype(numpy_type)
            tensor.CopyFrom(numpy_helper.from_array(value, tensor.name))
    del model.graph.value_info[:]
    for value_info in (*model.graph.input, *model.graph.output):
        value_info.type.tensor_type.elem_type = kind
    other = path.with_name("other.onnx")
    onnx.save(model, other)
    return other


@pytest.mark.parametrize(
    ("kind", "name", "is_half"),
    [(TensorProto.FLOAT16, "float16", True), (TensorProto.DOUBLE, "float64", False)],
)
def test_floats_of_other_widths(small_cnn: Path, kind: int, name: str, is_half: bool) -> None:
    assert ready_model(small_cnn).changed_types == ()
    (warning,) = ready_model(of_type(small_cnn, kind)).changed_types
    assert f"'x' from {name} to float32, 'logits' from {name} to float32" in warning.text
    assert ("float weights take 32 bits" in warning.text) == is_half


@pytest.mark.parametrize(
    "line", [["prune", "--prune", "macs=-20%"], ["quantize", "--mixed", "off"]]
)
def test_the_commands_say_so(
    line: list[str], small_cnn: Path, image_folder: Path, tmp_path: Path, rockpress: Run
) -> None:
    model = of_type(small_cnn, TensorProto.FLOAT16)
    verb, *more = line
    ended = rockpress(verb, model, "-o", tmp_path / "w.onnx", "--calib", image_folder, *more)
    assert ended.code == 0, ended.err
    assert ended.err.count("[model-types]") == 1
    written = onnx.load(tmp_path / "w.onnx").graph
    kinds = {each.type.tensor_type.elem_type for each in (*written.input, *written.output)}
    assert kinds == {TensorProto.FLOAT}
