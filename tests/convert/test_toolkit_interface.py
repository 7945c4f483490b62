"""Inputs and outputs that the toolkit drops or stumbles over, in the form that it takes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from graphs import Weights, model_of, random_feeds
from rockpress.convert.convert import convert
from rockpress.convert.lowering.interface import with_toolkit_interface
from rockpress.convert.request import ConversionRequest
from rockpress.convert.toolkit.environment import toolkit_version
from rockpress.core.graphs.model import save_model
from rockpress.core.session import Session
from rockpress.core.similarity import sqnr_db

WEIGHTS: Weights = {
    "w": (16, 3, 3, 3),
    "b": (16,),
    "v": (8, 16, 3, 3),
    "flat": np.array([8]),
    "zero": np.float32(0),
}
LAYERS = """a = Conv <pads = [1,1,1,1]> (x, w, b) c = Relu (a)
            y = Conv <pads = [1,1,1,1]> (c, v)"""
X = "float[1,3,16,16] x"
Y = "float[1,8,16,16] y"
# text -> the outputs that the toolkit is given
MODELS = {
    "one tensor twice": (
        f"({X}) => ({Y}, float[1,8,16,16] z) {{ {LAYERS} z = Identity (y) }}",
        ["y"],
    ),
    "one tensor twice, read inside": (
        f"""({X}) => (float[1,16,16,16] p, {Y}, float[1,16,16,16] q) {{
            {LAYERS} p = Identity (c) q = Identity (c) }}""",
        ["p", "y"],
    ),
    "one output listed twice": (f"({X}) => ({Y}, {Y}) {{ {LAYERS} }}", ["y"]),
    "an input handed through": (f"({X}) => ({X}, {Y}) {{ {LAYERS} }}", ["x/output", "y"]),
    "a whole number as output": (
        f"""({X}) => ({Y}, int64 i) {{
            {LAYERS} m = ReduceMean <axes = [2, 3], keepdims = 0> (y) f = Reshape (m, flat)
            i = ArgMax <axis = 0, keepdims = 0> (f) }}""",
        ["y", "i"],
    ),
    "a number as input": (
        f"""({X}, float t) => (float[1,8,16,16] z, float u) {{
            {LAYERS} u = Neg (t) z = Mul (y, u) }}""",
        ["z", "u"],
    ),
}
CASTS = (
    f"""({X}) => (uint8[1,1,16,16] m, int32[1,8,16,16] t) {{ {LAYERS}
        i = ArgMax <axis = 1> (y) m = Cast <to = 2> (i)
        g = Greater (y, zero) t = Cast <to = 6> (g) }}""",
    ["m", "t"],
)


@pytest.mark.parametrize("text, outputs", [*MODELS.values(), CASTS], ids=[*MODELS, "casts"])
def test_the_values_stay(text: str, outputs: list[str]) -> None:
    model = model_of(text, WEIGHTS)
    changed = with_toolkit_interface(model)
    session = Session(changed)
    assert session.output_names == outputs
    (feeds,) = random_feeds(model, 1)
    before = dict(zip(Session(model).output_names, Session(model).run(feeds), strict=True))
    fed = {key: np.atleast_1d(value) for key, value in feeds.items()}
    for output, value in zip(outputs, session.run(fed), strict=True):
        np.testing.assert_array_equal(value, before[output.removesuffix("/output")])


def test_an_ordinary_model_is_not_touched() -> None:
    text = f"({X}) => (float[1,16,16,16] c, {Y}, float[4] k) {{ {LAYERS} k = Identity (n) }}"
    model = model_of(text, {**WEIGHTS, "n": np.ones(4)})
    assert with_toolkit_interface(model) is model


@pytest.mark.toolkit
@pytest.mark.skipif(toolkit_version() is None, reason="needs rknn-toolkit2")
@pytest.mark.parametrize("name", MODELS)
def test_the_toolkit_builds_them(name: str, tmp_path: Path) -> None:
    text, outputs = MODELS[name]
    model = model_of(text, WEIGHTS)
    save_model(model, tmp_path / "m.onnx")
    samples = random_feeds(model, 4)
    request = ConversionRequest(
        tmp_path / "m.onnx", None, "rk3588", "normal", calibration=samples, simulate=samples
    )
    conversion = convert(request)
    expected = [
        np.concatenate([np.ravel(row) for row in rows])
        for rows in zip(*[Session(model).run(feeds) for feeds in samples], strict=True)
    ]
    simulated = [np.ravel(output) for output in conversion.outputs or []]
    assert sqnr_db([row[None] for row in expected], [row[None] for row in simulated]) > 25
    codes = {warning.code for warning in conversion.warnings}
    names = {value.name for value in model.graph.output}
    assert ("toolkit-output-dropped" in codes) == (len(outputs) < len(names))


@pytest.mark.toolkit
@pytest.mark.skipif(toolkit_version() is None, reason="needs rknn-toolkit2")
def test_casts_of_integers_are_left_out_and_told_of(tmp_path: Path) -> None:
    """In float16, where but a few values on the border come out as another integer."""
    model = model_of(CASTS[0], WEIGHTS)
    save_model(model, tmp_path / "m.onnx")
    samples = random_feeds(model, 2)
    made = convert(ConversionRequest(tmp_path / "m.onnx", None, "rk3588", simulate=samples))
    assert "toolkit-output-type" in {warning.code for warning in made.warnings}
    columns = zip(*(Session(model).run(feeds) for feeds in samples), strict=True)
    for simulated, rows in zip(made.outputs or [], columns, strict=True):
        expected = np.concatenate(rows).ravel()
        assert np.unique(expected).size > 1
        assert np.mean(simulated.ravel() == expected) > 0.98
