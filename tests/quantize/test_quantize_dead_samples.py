"""Samples that say nothing, or far too much: every method gives a model that runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto

from graphs import Samples, model_of
from rockpress.core.graphs.model import load_model
from rockpress.core.session import Session
from rockpress.quantize.quantize import quantize
from rockpress.quantize.schemes import find_scheme


def net() -> ModelProto:
    """Layers of which some read a constant once the input is constant."""
    return model_of(
        "(float[1,3,8,8] x, float[1,8] z) => (float[1,4] y) { a = Conv <pads=[1,1,1,1]> (x, u, b)"
        " r = Relu (a) c = Conv (r, v, d) e = Conv (c, w) g = GlobalAveragePool (e)"
        " f = Flatten (g) m = MatMul (z, t) s = Add (f, m) y = Gemm (s, q, o) }",
        {
            **{"u": (16, 3, 3, 3), "b": (16,), "v": (16, 16, 1, 1), "d": (16,), "t": (8, 8)},
            **{"w": (8, 16, 1, 1), "q": (8, 4), "o": (4,)},
        },
        biases=100.0,
    )


def feeds(scale: float, offset: float, second: float) -> Samples:
    random = np.random.default_rng(0)
    shapes = {"x": (1, 3, 8, 8), "z": (1, 8)}
    sizes = {"x": (scale, offset), "z": (second, 0.0)}
    return [
        {
            name: (random.standard_normal(shape) * sizes[name][0] + sizes[name][1]).astype("f")
            for name, shape in shapes.items()
        }
        for _ in range(20)
    ]


METHODS = [
    (scheme, method)
    for scheme in ("w8a8", "w8a16", "w4a16")
    for method in find_scheme(scheme).methods
    if "gptq" in method
]


@pytest.mark.parametrize(
    "sizes",
    [(0, 0, 0), (1, 0, 0), (1e-30, 0, 1e-30), (0, 1e3, 1), (1e20, 0, 1)],
    ids=["zero", "second zero", "tiny", "constant", "huge"],
)
@pytest.mark.parametrize(("scheme", "method"), METHODS)
def test_a_model_comes_of_any_samples(
    scheme: str, method: str, sizes: tuple[float, float, float], tmp_path: Path
) -> None:
    samples = feeds(*sizes)
    paths = tmp_path / "q.onnx", tmp_path / "p.toml"
    quantize(net(), *paths, samples, scheme=scheme, method=method)
    session = Session(load_model(paths[0]), keeps_scales=True)
    assert all(np.isfinite(session.run(one)[0]).all() for one in samples)
