"""The parts of a quantized model that the benchmark of int8's limits runs alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.int8_limits import with_float_activations, with_float_weights
from graphs import model_of, random_feeds
from rockpress.core.graphs.model import load_model
from rockpress.core.session import Session
from rockpress.core.similarity import sqnr_db
from rockpress.quantize.quantize import quantize


def test_each_part_alone_is_nearer_than_both(tmp_path: Path) -> None:
    model = model_of(
        """(float[1,6,8,8] x) => (float[1,5] y) {
        a = Conv (x, w1, b1)
        r = Relu (a)
        c = Conv (r, w2, b2)
        f = Flatten (c)
        y = Gemm (f, w3, b3) }""",
        {
            **{"w1": (12, 6, 3, 3), "b1": (12,), "w2": (8, 12, 1, 1), "b2": (8,)},
            **{"w3": (288, 5), "b3": (5,)},
        },
    )
    samples = random_feeds({"x": (1, 6, 8, 8)}, 20)
    output = tmp_path / "q.onnx"
    quantize(model, output, tmp_path / "p.toml", samples, method="min-max")
    quantized = load_model(output)
    parts = {
        "both": quantized,
        "weights": with_float_activations(quantized),
        "activations": with_float_weights(model, quantized),
        "neither": with_float_activations(with_float_weights(model, quantized)),
    }
    expected = [Session(model).run(feeds)[0] for feeds in samples]
    decibels = {}
    for name, part in parts.items():
        session = Session(part, optimise=False)
        outputs = [session.run(feeds)[0] for feeds in samples]
        decibels[name] = sqnr_db([np.stack(expected)], [np.stack(outputs)])
    assert 20 < decibels["both"] < min(decibels["weights"], decibels["activations"])
    assert decibels["neither"] > 90
