"""The latency estimate, against figures that were published and sums done by hand."""

from __future__ import annotations

import pytest

from rockpress.convert.latency import estimate
from rockpress.convert.layer_table import Layer
from rockpress.convert.targets import TARGETS, find_target

SHAPE = (1, 100, 100, 100)  # a million elements


def layer(op: str, cycles: int = 0, dtype: str = "INT8", runs_on: str = "NPU") -> Layer:
    return Layer(0, op, dtype, runs_on, (SHAPE,), (SHAPE,), cycles, cycles, cycles, op)


def test_every_term() -> None:
    layers = [
        layer("InputOperator"),
        layer("ConvExSwish", 3_000_000),  # cycles, a lookup
        layer("Add", dtype="FLOAT16"),  # moves 2 + 2 MB
        layer("Softmax", runs_on="CPU"),  # a lookup, but no NPU layer
        layer("OutputOperator"),
    ]
    found = estimate(layers, find_target("rk3588"))
    assert found is not None
    assert found.cycles == 3_000_000
    assert found.ms == pytest.approx(1.023 * 3 + 0.126 * 2 + 0.149 * 4 + 0.0259 * 2)


def test_concat_and_split_move_each_byte_twice() -> None:
    half = (1, 50, 100, 100)
    concat = Layer(0, "Concat", "INT8", "NPU", (half,), (SHAPE,), 0, 0, 0, "c")
    split = Layer(0, "Split", "INT8", "NPU", (SHAPE,), (half,), 0, 0, 0, "s")
    for one in (concat, split):
        found = estimate([one], find_target("rk3576"))
        assert found is not None
        assert found.ms == pytest.approx(0.140 * 2)


@pytest.mark.parametrize(("target", "error"), [("rk3588", 0.121), ("rk3568", 0.192)])
def test_the_band_is_the_fits_error(target: str, error: float) -> None:
    found = estimate([layer("Conv", 5_000_000)], find_target(target))
    assert found is not None and found.ms and found.low and found.high
    assert found.low < found.ms < found.high
    assert found.ms / found.low - 1 == pytest.approx(error)
    assert 1 - found.ms / found.high == pytest.approx(error)


def test_published_resnet50_is_near_the_band() -> None:
    """5.73 M cycles in about 60 layers on rk3588; rknn_model_zoo publishes 110.1 FPS."""
    convs = [layer("ConvRelu", 5_730_000 // 60) for _ in range(60)]
    found = estimate(convs, find_target("rk3588"))
    assert found is not None and found.ms is not None
    assert found.ms == pytest.approx(1000 / 110.1, rel=0.25)


def test_a_chip_without_published_figures_gets_cycles_only() -> None:
    for target in TARGETS:
        found = estimate([layer("Conv", 7)], target)
        assert found is not None and found.cycles == 7
        assert (found.ms is None) == (target.latency is None)
        assert (found.low is None) == (found.high is None) == (found.ms is None)


def test_no_table_no_estimate() -> None:
    assert estimate([], find_target("rk3588")) is None
