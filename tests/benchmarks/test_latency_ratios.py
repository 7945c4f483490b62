"""A result is called slower than float16 only outside the band of the published pairs."""

from __future__ import annotations

from importlib import import_module
from statistics import median

import pytest

from rockpress.convert.latency.bands import is_slower, ratio_band

FACTOR = ratio_band("formats")


def test_the_band_holds_every_pair_that_counts_and_is_not_much_wider() -> None:
    ratios = import_module("benchmarks.latency.ratios")
    counted = [pair.error for pair in (*ratios.larger_less_smaller(), *ratios.same_family())]
    assert len(counted) == 6
    assert FACTOR / 1.06 < max(counted) < FACTOR


def test_programs_have_a_larger_ratio_than_the_npu_alone() -> None:
    ratios = import_module("benchmarks.latency.ratios")
    programs = [pair for pair in ratios.same_network() if "zoo" not in pair.name]
    assert len(programs) == 10
    assert all(pair.published > 0.98 * pair.estimated for pair in programs)
    assert median(pair.published / pair.estimated for pair in programs) > 1.1


def test_both_formats_of_a_layer_are_off_by_the_same_factor() -> None:
    ratios = import_module("benchmarks.latency.ratios")
    factors = {(operator, dtype): median(each) for operator, dtype, each in ratios.layer_factors()}
    for operator in ("Conv", "Concat", "Add"):
        in_float16, in_int8 = factors[operator, "FLOAT16"], factors[operator, "INT8"]
        assert in_float16 / in_int8 == pytest.approx(1, abs=0.1), operator


def test_a_result_is_slower_only_outside_the_band() -> None:
    assert is_slower(10 * FACTOR + 0.1, 10)
    assert not is_slower(10 * FACTOR - 0.1, 10)


@pytest.mark.parametrize(
    ("name", "dtype", "shape"),
    [
        ("yolov8n", "int8", (1, 3, 640, 640)),
        ("yolov8n-fp16", "fp16", (1, 3, 640, 640)),
        ("lprnet-int8", "int8", (1, 3, 24, 94)),
        ("yolo11n-pose-fp16", "fp16", (1, 3, 640, 640)),
    ],
)
def test_a_format_may_follow_the_name_of_what_is_compiled(
    name: str, dtype: str, shape: tuple[int, ...]
) -> None:
    network = import_module("benchmarks.latency.compile").network_of(name)
    assert (network.model, network.dtype, network.shape) == (name, dtype, shape)
