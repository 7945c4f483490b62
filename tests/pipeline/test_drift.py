"""Where along the chain a result is lost: forms against the one before, layers against inputs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import ModelProto

from graphs import model_of
from rockpress.accuracy.compare import compare
from rockpress.calibration_data.sources.labels import Labels
from rockpress.core.similarity import sqnr_db
from rockpress.pipeline.figures.drift import WORST, DriftMeter, worst_layers
from rockpress.quantize.error_report import TensorError


def outputs_with(wrong: int) -> list[NDArray[Any]]:
    """(10, 3): class 0 in all samples, but the first ``wrong`` say class 1."""
    values = np.tile([3.0, 1.0, 0.0], (10, 1))
    values[:wrong, 1] = 4.0
    return [values]


def test_each_form_is_set_against_the_one_before() -> None:
    labels = Labels("class", np.zeros(10, np.int64))
    drift = DriftMeter(outputs_with(0))
    forms = {"pruned": 2, "quantized": 2, "rknn": 3}
    for stage, wrong in forms.items():
        outputs = outputs_with(wrong)
        drift.form(stage, compare(outputs_with(0), outputs, labels), outputs)
    rows = drift.rows
    assert [row.stage for row in rows] == list(forms)
    assert [row.value for row in rows] == [0.8, 0.8, 0.7]
    assert [row.change for row in rows] == pytest.approx([-0.2, 0.0, -0.1])
    expected = [sqnr_db(outputs_with(a), outputs_with(b)) for a, b in ((0, 2), (2, 2), (2, 3))]
    assert [row.step_db for row in rows] == expected and expected[1] == math.inf
    assert rows[2].sqnr_db == sqnr_db(outputs_with(0), outputs_with(3))


def test_drift_without_labels_has_no_value() -> None:
    drift = DriftMeter(outputs_with(0))
    outputs = [one[:, :, np.newaxis] for one in outputs_with(1)]  # a runner may add an axis
    drift.form("rknn", compare(outputs_with(0), outputs, None), outputs)
    (row,) = drift.rows
    assert (row.value, row.change, row.agreement) == (None, None, 0.9)


def chain_of_layers() -> ModelProto:
    """x -> a -> f (float) -> b; and sum = a + b."""
    return model_of(
        """(float[1,4] x) => (float[1,4] sum) {
            a = Relu (x)
            f = Neg (a)
            b = Abs (f)
            sum = Add (a, b) }""",
        prepared=False,
    )


def error_of(name: str, db: float, kind: Any = "activation") -> TensorError:
    return TensorError(name, kind, "", None, db, 0.0, 1.0, 0.1)


def test_a_layer_loses_what_its_inputs_still_had() -> None:
    errors = [
        error_of("x", math.inf),
        error_of("a", 40.0),
        error_of("a", 3.0, kind="weight"),
        error_of("b", 25.0),
        error_of("sum", 27.0),  # better than its worse input, so it loses nothing
    ]
    found = worst_layers(chain_of_layers(), errors)
    assert found == [("b", "Abs", 25.0, -15.0), ("a", "Relu", 40.0, -20.0)]


def test_the_worst_layers_are_named_and_no_others() -> None:
    nodes = " ".join(f"t{i + 1} = Relu (t{i})" for i in range(9))
    model = model_of(f"(float[1] t0) => (float[1] t9) {{ {nodes} }}", prepared=False)
    errors = [error_of(f"t{i}", 50.0 - i * i / 2) for i in range(10)]
    found = worst_layers(model, errors)
    assert [name for name, *_ in found] == ["t9", "t8", "t7", "t6", "t5"]
    assert len(found) == WORST
