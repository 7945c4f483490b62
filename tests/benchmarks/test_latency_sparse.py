"""The estimate knows 2:4 sparse weights as the published pairs of models have them."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from statistics import fmean, median

from rockpress.convert.chips.compiler_log import Layer
from rockpress.convert.chips.targets import find_target
from rockpress.convert.latency.estimate import estimate

_SHAPES = ((1, 256, 80, 80), (256, 256, 3, 3), (256,)), ((1, 256, 80, 80),)
DENSE = Layer(1, "Conv", "INT8", "NPU", *_SHAPES, 500_000, 3_686_400, 3_686_400, "c")


def milliseconds(layer: Layer) -> float:
    latency = estimate([layer], find_target("rk3576"))
    assert latency is not None and latency.ms is not None
    return latency.ms


def test_the_published_speed_ups_are_met() -> None:
    errors = [
        each.error - 1 for each in import_module("benchmarks.latency.sparse_pairs").speed_ups()
    ]
    assert len(errors) == 27
    assert fmean(errors) < 0.035
    assert median(errors) < 0.035
    assert max(errors) < 0.15


def test_a_sparse_layer_is_faster_by_less_than_two() -> None:
    sparse = replace(DENSE, sparse_ratio=0.5)
    assert 1.5 < milliseconds(DENSE) / milliseconds(sparse) < 2


def test_the_weights_of_a_sparse_layer_are_read_though_the_table_leaves_them_out() -> None:
    sparse = replace(DENSE, npu_cycles=0, sparse_ratio=0.5)
    without = replace(sparse, input_shapes=(sparse.input_shapes[0], (1, 1, 1, 1)))
    assert milliseconds(sparse) > milliseconds(without)
