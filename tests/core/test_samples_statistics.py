from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import ModelProto

from graphs import model_of
from rockpress.core.errors import ModelError, SamplesError
from rockpress.core.streaming.tensor_stream import stream, with_outputs


@pytest.fixture
def model() -> ModelProto:
    """x (1, 3) -> scaled = 2x -> shifted = scaled - 1 -> y = relu(shifted)."""
    text = """(float[1,3] x) => (float[1,3] y) {
        scaled = Mul (x, two)
        shifted = Sub (scaled, one)
        y = Relu (shifted) }"""
    return model_of(text, {"two": [2.0], "one": [1.0]}, opset=13, prepared=False)


def feeds(*rows: list[float]) -> list[dict[str, NDArray[Any]]]:
    return [{"x": np.array([row], dtype=np.float32)} for row in rows]


@pytest.mark.parametrize("optimise", [True, False])
def test_inner_tensors_inputs_and_outputs_are_observed(model: ModelProto, optimise: bool) -> None:
    seen: list[dict[str, Any]] = []

    def observe(values: Mapping[str, NDArray[Any]]) -> None:
        seen.append({name: array.ravel().tolist() for name, array in values.items()})

    names = ["scaled", "x", "y", "shifted", "y"]
    count = stream(model, names, feeds([0, 1, 2], [3, 0, 0]), observe, optimise=optimise)
    assert count == 2
    assert seen == [
        {"scaled": [0, 2, 4], "x": [0, 1, 2], "y": [0, 1, 3], "shifted": [-1, 1, 3]},
        {"scaled": [6, 0, 0], "x": [3, 0, 0], "y": [5, 0, 0], "shifted": [5, -1, -1]},
    ]


def test_the_model_is_left_as_it_was(model: ModelProto) -> None:
    before = model.SerializeToString()
    copy = with_outputs(model, ["scaled", "y"])
    assert [value.name for value in copy.graph.output] == ["y", "scaled"]
    assert model.SerializeToString() == before


def test_progress_counts_the_samples_as_they_are_done(model: ModelProto) -> None:
    done: list[int] = []
    stream(model, ["y"], iter(feeds([1, 1, 1], [2, 2, 2])), lambda values: None, done.append)
    assert done == [1, 2]


def test_samples_are_drawn_one_at_a_time(model: ModelProto) -> None:
    drawn: list[int] = []
    observed: list[int] = []

    def samples() -> Any:
        for index in range(4):
            assert len(observed) == index  # nothing is read ahead
            drawn.append(index)
            yield {"x": np.zeros((1, 3), dtype=np.float32)}

    stream(model, ["y"], samples(), lambda values: observed.append(1))
    assert len(drawn) == len(observed) == 4


def test_no_sample_is_an_error(model: ModelProto) -> None:
    with pytest.raises(SamplesError, match="there are no samples to run the model on"):
        stream(model, ["y"], [], lambda values: None)


def test_nan_names_the_sample_and_the_tensor(model: ModelProto) -> None:
    observed: list[int] = []
    with pytest.raises(SamplesError, match="sample 1 gives NaN in the tensor 'scaled'"):
        stream(
            model,
            ["scaled"],
            feeds([0, 1, 2], [0, float("nan"), 2]),
            lambda values: observed.append(1),
        )
    assert observed == [1]


@pytest.mark.parametrize("name", ["none", "two"])
def test_a_tensor_that_no_node_computes_is_an_error(model: ModelProto, name: str) -> None:
    with pytest.raises(ModelError, match=f"the model computes no tensor '{name}'"):
        stream(model, [name], feeds([0, 1, 2]), lambda values: None)


def test_a_sample_of_another_shape_is_an_error(model: ModelProto) -> None:
    samples = [{"x": np.zeros((1, 4, 4), dtype=np.float32)}]
    with pytest.raises(ModelError, match=r"inputs of shape .*\(1, 4, 4\)"):
        stream(model, ["y"], samples, lambda values: None)


def test_a_sample_without_an_input_is_an_error(model: ModelProto) -> None:
    with pytest.raises(SamplesError, match="sample 0 has no array for the input 'x'"):
        stream(model, ["x"], [{"z": np.zeros(3)}], lambda values: None)
