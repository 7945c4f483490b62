"""Automatic padding of transposed convolutions written out: the same results."""

from __future__ import annotations

import numpy as np
import pytest

from graphs import Weights, model_of, random_feeds
from rockpress.core.passes.prepare import prepare_model
from rockpress.core.session import Session


@pytest.mark.parametrize("mode", ["SAME_UPPER", "SAME_LOWER"])
@pytest.mark.parametrize(
    ("settings", "weights"),
    [
        ("strides = [2, 2]", (4, 4, 3, 3)),
        ("strides = [2, 2], group = 2", (4, 2, 4, 5)),
        ("strides = [1, 3], dilations = [2, 1]", (4, 4, 3, 4)),
        ("strides = [3, 3]", (4, 4, 2, 2)),
    ],
)
def test_results_stay(mode: str, settings: str, weights: tuple[int, ...]) -> None:
    text = f"""(float[1,4,6,7] x) => (float[n,c,h,v] y) {{
        y = ConvTranspose <auto_pad = "{mode}", {settings}> (x, w) }}"""
    arrays: Weights = {"w": weights}
    model = model_of(text, arrays, prepared=False)
    prepared = prepare_model(model)
    (feeds,) = random_feeds({"x": (1, 4, 6, 7)}, 1)
    (expected,), (result,) = Session(model).run(feeds), Session(prepared).run(feeds)
    np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-5)
    is_too_narrow = settings == "strides = [3, 3]"  # nothing is cut off, but zeros are added
    left = [a.name for node in prepared.graph.node for a in node.attribute if a.name == "auto_pad"]
    assert bool(left) == is_too_narrow
