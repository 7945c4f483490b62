"""A plan read back: old ones as they are, damaged ones told by file, key and value."""

from __future__ import annotations

from pathlib import Path

import pytest

from rockpress.core.errors import ModelError
from rockpress.quantize.rendering.plan import (
    Activation,
    Plan,
    Tradeoff,
    Weight,
    read_plan,
    write_plan,
)

PLAN = Plan(
    "w8a8",
    7,
    {"a": Activation("int8", -1.0, 2.0, 0.01, -28, "mse")},
    {"w": Weight("int8", 0, 32, "gptq")},
    {"Softmax": 1},
    candidates={"mse": 20.0, "gptq": float("inf")},
    tradeoffs=(Tradeoff(("a",), 30.0, 0.9),),
    equalization={"a": (0.5, 2.0)},
)
FIRST_OF_ALL = """
schema = 1
scheme = "w8a8"
samples = 1

[activations.a]
dtype = "int8"
low = -1
high = 2.5
scale = 0.01
zero_point = 3
source = "min-max"

[weights]
[float_operators]
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "m.plan.toml"
    write_plan(PLAN, path)
    assert read_plan(path) == PLAN
    return path


def test_a_plan_of_the_first_rockpress_is_read(tmp_path: Path) -> None:
    (tmp_path / "old.toml").write_text(FIRST_OF_ALL)
    plan = read_plan(tmp_path / "old.toml")
    assert plan.activations["a"].low == -1.0
    assert (plan.method, plan.chosen_by, plan.tradeoffs) == ("min-max", "sqnr", ())


@pytest.mark.parametrize(
    ("line", "damaged", "message"),
    [
        ("low = -1.0", 'low = "x"', 'activations.a.low is "x", not a number'),
        ("low = -1.0", "low = true", "activations.a.low is true, not a number"),
        ("low = -1.0", "low = nan", "activations.a.low is NaN, not a finite number"),
        ("high = 2.0", "high = inf", "activations.a.high is Infinity, not a finite number"),
        ("low = -1.0", "low = 3.0", "activations.a.low is 3.0, not at most its high, 2"),
        ("low = -1.0\n", "", "activations.a has no low"),
        ("low = -1.0", "low = -1.0\nlwo = 1", "activations.a.lwo is no key of it"),
        ("scale = 0.01", "scale = -0.5", "activations.a.scale is -0.5, not a number above 0"),
        ("scale = 0.01", "scale = 0.0", "activations.a.scale is 0.0, not a number above 0"),
        ("zero_point = -28", "zero_point = 1.5", "zero_point is 1.5, not a whole number"),
        ("zero_point = -28", "zero_point = 128", "zero_point is 128, not one of int8"),
        (
            'dtype = "int8"\nlow',
            'dtype = "int7"\nlow',
            'dtype is "int7", not one of int8, int16, float16',
        ),
        ('dtype = "int8"\naxis', "dtype = 8\naxis", "weights.w.dtype is 8, not text"),
        ('dtype = "int8"\naxis', 'dtype = "int4"\naxis', 'dtype is "int4", not one of int8,'),
        ("axis = 0", "axis = -1", "weights.w.axis is -1, not an axis of a weight"),
        ("channels = 32", "channels = 0", "weights.w.channels is 0, not a number above 0"),
        (
            'scheme = "w8a8"',
            'scheme = "int8"',
            'scheme is "int8", not a number format such as w8a8',
        ),
        ("samples = 7", "samples = -7", "samples is -7, not a number of samples"),
        ("samples = 7", "samples = 2020-01-01", 'samples is "2020-01-01", not a whole number'),
        ("symmetric = false", "symmetric = 0", "symmetric is 0, not true or false"),
        ("Softmax = 1", 'Softmax = "one"', 'float_operators.Softmax is "one", not a whole number'),
        ("mse = 20.0", "mse = nan", "candidates.mse is NaN, not a number"),
        ("sqnr_db = 30.0", "", "tradeoffs[0] has no sqnr_db"),
        ("    0.5,\n", "    -0.5,\n", "equalization.a is [-0.5, 2.0], not numbers above 0"),
        ("method =", "methods =", "methods is no key of it"),
    ],
)
def test_damage_is_told_by_key_and_value(line: str, damaged: str, message: str, file: Path) -> None:
    text = file.read_text()
    assert line in text
    file.write_text(text.replace(line, damaged, 1))
    with pytest.raises(ModelError) as caught:
        read_plan(file)
    told = str(caught.value)
    assert told.startswith(f"{file}: not a plan: ") and message in told
    assert "\n" not in told and caught.value.hint == "quantize again"
    assert "Input should" not in told and "validation" not in told


def test_an_unknown_schema_is_told(file: Path) -> None:
    file.write_text(file.read_text().replace("schema = 1", "schema = 99"))
    with pytest.raises(ModelError, match="the plan has schema 99, this version reads 1"):
        read_plan(file)
