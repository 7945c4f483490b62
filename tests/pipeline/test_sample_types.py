"""Samples become what the inputs take where they are read, whatever type they are saved as."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from graphs import model_of
from rockpress.calibration_data.preprocessing import DEFAULT_PREPROCESSING
from rockpress.calibration_data.samples import Samples
from rockpress.core.errors import SamplesError
from rockpress.core.streaming.layerwise import LayerwiseExecutor
from rockpress.pipeline.samples.ready_model import ReadyModel, ready_model

TEXTS = {
    "float": "(float[1,4] x) => (y) { y = MatMul (x, w) }",
    "int64": "(int64[1,4] x) => (y) { c = Cast <to=1> (x) y = MatMul (c, w) }",
    "bool": "(bool[1,4] x) => (y) { c = Cast <to=1> (x) y = MatMul (c, w) }",
}


def bound(folder: Path, name: str, values: Any) -> tuple[ReadyModel, Samples]:
    model = model_of(TEXTS[name], {"w": (4, 4)}, prepared=False)
    onnx.save(model, folder / "m.onnx")
    np.save(folder / "x.npy", values)
    ready = ready_model(folder / "m.onnx")
    return ready, ready.samples(folder / "x.npy", DEFAULT_PREPROCESSING)


@pytest.mark.parametrize("kind", [np.int8, np.int32, np.int64, np.uint16, bool, np.float64])
@pytest.mark.parametrize("name", TEXTS)
def test_samples_of_any_type_run_layer_by_layer(tmp_path: Path, name: str, kind: Any) -> None:
    values = np.random.default_rng(0).integers(0, 2, (5, 4))
    ready, samples = bound(tmp_path, name, values.astype(kind))
    executor = LayerwiseExecutor(ready.model, samples)
    executor.keep(["y"])
    executor.run_until(len(ready.model.graph.node))
    (weight,) = (onnx.numpy_helper.to_array(w) for w in ready.model.graph.initializer)
    for index, value in enumerate(executor.values("y")):
        np.testing.assert_allclose(value[0], values[index] @ weight, rtol=1e-5)


def test_numbers_that_an_input_cannot_hold_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SamplesError, match="'x' takes int64, which cannot hold the float32 values"):
        bound(tmp_path, "int64", np.full((5, 4), 0.5, np.float32))
