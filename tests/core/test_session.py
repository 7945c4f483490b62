"""What a model is fed: numbers in the type of its input."""

from __future__ import annotations

import numpy as np
import pytest

from graphs import model_of
from rockpress.core.errors import ModelError
from rockpress.core.session import Session

NAMES = {
    "float32": "float",
    "float64": "double",
    "float16": "float16",
    "uint8": "uint8",
    "int64": "int64",
    "bool": "bool",
}


@pytest.mark.parametrize("given", ["float32", "uint8", "int64", "bool"])
@pytest.mark.parametrize("taken", NAMES)
def test_numbers_become_the_type_of_the_input(taken: str, given: str) -> None:
    kind = NAMES[taken]
    text = f"({kind}[3] x) => ({kind}[3] y) {{ y = Identity (x) }}"
    value = np.array([0, 1, 1]).astype(given)
    (result,) = Session(model_of(text, prepared=False)).run({"x": value})
    assert result.dtype == taken
    np.testing.assert_array_equal(result, [0, 1, 1])


@pytest.mark.parametrize(("taken", "value"), [("uint8", 300), ("int64", 0.5), ("bool", 2)])
def test_a_value_that_the_type_has_not_names_the_input(taken: str, value: float) -> None:
    text = f"({taken}[1] x) => ({taken}[1] y) {{ y = Identity (x) }}"
    with pytest.raises(ModelError, match=rf"input 'x' takes {taken}, which cannot hold"):
        Session(model_of(text, prepared=False)).run({"x": np.array([value])})


def test_scales_are_kept_where_the_optimiser_would_drop_some() -> None:
    """Rounded to whole numbers, and then to threes: the optimiser makes one pair of the two."""
    scales = "<float s = {1.0}, float t = {3.0}, int8 z = {0}>"
    text = f"""(float[3] x) => (float[3] y) {scales} {{
        q = QuantizeLinear (x, s, z)
        d = DequantizeLinear (q, s, z)
        r = QuantizeLinear (d, t, z)
        y = DequantizeLinear (r, t, z) }}"""
    model, x = model_of(text, prepared=False), np.array([1.6, 4.4, 4.6], np.float32)
    (expected,) = Session(model, optimise=False).run({"x": x})
    (kept,) = Session(model, keeps_scales=True).run({"x": x})
    np.testing.assert_array_equal(kept, expected)
