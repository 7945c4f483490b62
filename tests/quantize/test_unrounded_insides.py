"""Candidates are compared as the NPU computes them: it rounds nothing inside a HardSwish."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto

from gated_nets import converted, gated_net
from graphs import random_feeds
from rockpress.convert.toolkit.environment import toolkit_version
from rockpress.core.graphs.graph import Graph
from rockpress.core.graphs.model import load_model
from rockpress.core.session import Session
from rockpress.core.similarity import sqnr_db
from rockpress.core.types import Array, Feeds
from rockpress.quantize.quantize import quantize
from rockpress.quantize.trials.held_out_samples import HeldOut
from rockpress.quantize.trials.unrounded_insides import with_unrounded_insides

HARD_SWISH = "a = Add (c, three) k = Clip (a, zero, six) m = Mul (c, k) p = Div (m, six)"
LAST = "y = Conv (p, v)"
OTHERS = {
    "SiLU": f"g = Sigmoid (c) p = Mul (c, g) {LAST}",
    "read again": f"{HARD_SWISH} d = Conv (p, v) e = Conv (c, u) y = Add (d, e)",
}


def _quantized(model: ModelProto, samples: Sequence[Feeds], folder: Path) -> ModelProto:
    quantize(model, folder / "q.onnx", folder / "p.toml", samples, method="min-max")
    return load_model(folder / "q.onnx")


def _outputs(model: ModelProto, samples: Sequence[Feeds]) -> Array:
    session = Session(model, keeps_scales=True)
    return np.concatenate([session.run(feeds)[0] for feeds in samples])


def test_a_hard_swish_reads_what_the_layer_computes(tmp_path: Path) -> None:
    model = gated_net(f"{HARD_SWISH} {LAST}")
    samples = random_feeds(model, 12, 1)
    quantized = _quantized(model, samples, tmp_path)
    joined = with_unrounded_insides(quantized)
    readers = Graph(joined).consumers["c"]
    assert {node.op_type for node in readers} == {"QuantizeLinear", "Add", "Mul"}
    held_out = HeldOut(model, samples)
    expected = sqnr_db([_outputs(model, samples)], [_outputs(joined, samples)])
    assert held_out.sqnr_db(quantized) == pytest.approx(expected, abs=0.01)
    assert held_out.trial(quantized).sqnr_db == pytest.approx(expected, abs=0.01)
    assert expected > sqnr_db([_outputs(model, samples)], [_outputs(quantized, samples)])


@pytest.mark.parametrize("nodes", OTHERS.values(), ids=OTHERS)
def test_all_else_is_rounded(nodes: str, tmp_path: Path) -> None:
    model = gated_net(nodes)
    quantized = _quantized(model, random_feeds(model, 12, 1), tmp_path)
    assert with_unrounded_insides(quantized) is quantized


@pytest.mark.toolkit
@pytest.mark.skipif(toolkit_version() is None, reason="needs rknn-toolkit2")
def test_the_toolkit_does_not_round_it(tmp_path: Path) -> None:
    """At level 3: what it is from the QDQ model is what that rounding does."""
    made, qdq, samples = converted(f"{HARD_SWISH} {LAST}", 3, tmp_path)
    quantized = load_model(qdq)
    feeds: list[Feeds] = [{"x": sample[None]} for sample in samples[:4]]
    rounding = sqnr_db(
        [_outputs(quantized, feeds)], [_outputs(with_unrounded_insides(quantized), feeds)]
    )
    assert made.closeness.intended_db == pytest.approx(rounding, abs=1.0)
