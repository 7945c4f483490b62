"""The time in an application and the frames a second: shipped is what the timed programs say."""

from __future__ import annotations

from importlib import import_module
from math import exp
from statistics import fmean, median
from typing import Any

import pytest

from rockpress.convert.chips.compiler_log import Layer
from rockpress.convert.chips.targets import TARGETS, find_target
from rockpress.convert.latency.application import (
    BAND,
    FLOAT16_INPUT,
    ApplicationTime,
    application_ms,
)
from rockpress.convert.latency.estimate import estimate
from rockpress.convert.latency.throughput import GAIN_BAND, gain, throughputs


@pytest.fixture
def programs() -> Any:
    return import_module("benchmarks.latency.application_fit")


def rows(inputs: str = "INT8") -> list[Layer]:
    """A network that reads a million elements and writes half a million."""
    shapes = ((1, 1, 1000, 1000),), ((1, 1, 1000, 500),)
    return [
        Layer(0, "InputOperator", inputs, "CPU", (), shapes[0], 0, 0, 0, "x"),
        Layer(1, "Conv", "INT8", "NPU", shapes[0], shapes[1], 9, 9, 9, "conv"),
        Layer(2, "OutputOperator", "INT8", "CPU", shapes[1], (), 0, 0, 0, "y"),
    ]


def in_application(npu_ms: float, chip: str, inputs: str = "INT8") -> ApplicationTime:
    time = application_ms(npu_ms, rows(inputs), find_target(chip))
    assert time is not None
    return time


@pytest.mark.parametrize("chip", ["rk3588", "rk3576", "rk3566"])
def test_the_shipped_coefficients_are_those_of_the_programs(programs: Any, chip: str) -> None:
    fitted = programs.fit(programs.of_chip(chip))
    shipped = in_application(10.0, chip).ms
    assert shipped == pytest.approx(10 * fitted.factor + fitted.output / 2, rel=0.01)


def test_another_source_than_the_fitted_one_is_met(programs: Any) -> None:
    errors = [exp(abs(error)) - 1 for _, error, _ in programs.other_source()]
    assert len(errors) == 6
    assert fmean(errors) < 0.04
    assert max(errors) < 0.09


def test_nine_of_ten_programs_are_inside_the_band_when_they_are_left_out(programs: Any) -> None:
    judged = programs.all_judged()
    assert len(judged) == 38
    for which in (1, 2):  # the NPU's time as published, and estimated
        assert fmean(exp(abs(error[which])) < BAND for error in judged) >= 0.9
    assert programs.band() < BAND


def test_the_conversion_to_float16_is_the_middle_of_the_programs(programs: Any) -> None:
    found = programs.conversions()
    assert len(found) == 7
    assert median(found) == pytest.approx(FLOAT16_INPUT, rel=0.1)


def test_a_float16_input_takes_longer_and_is_less_certain() -> None:
    narrow, wide = in_application(10.0, "rk3588"), in_application(10.0, "rk3588", "FLOAT16")
    assert wide.ms == pytest.approx(narrow.ms + FLOAT16_INPUT)
    assert wide.high / wide.low > narrow.high / narrow.low


def test_only_chips_with_timed_programs_have_a_time() -> None:
    named = {target.name for target in TARGETS if application_ms(10.0, rows(), target)}
    assert named == {"rk3588", "rk3576", "rk3566", "rk3568", "rv1126b"}


def test_rv1126b_is_an_rk3576_that_is_slower_as_its_programs_say() -> None:
    fitting = import_module("benchmarks.latency.rv1126b_fit")
    fitted = fitting.fit(fitting.programs())
    assert len(fitting.programs()) == 7
    for program in fitting.programs():
        latency = estimate(program.layers, find_target("rv1126b"), "2.3.2")
        assert latency is not None and latency.ms is not None
        assert latency.ms == pytest.approx(program.npu_ms(fitted), rel=0.08), program.model
        time = application_ms(latency.ms, program.layers, find_target("rv1126b"))
        assert time is not None
        assert time.low < program.ms < time.high, program.model


@pytest.mark.parametrize("by", ["model", "family"])
def test_programs_of_rv1126b_are_inside_the_band_when_left_out(by: str) -> None:
    errors = import_module("benchmarks.latency.rv1126b_fit").left_out(by)
    assert max(exp(abs(error)) for _, error in errors) < BAND


@pytest.mark.parametrize("chip", ["rk3588", "rk3576"])
def test_all_cores_gain_what_others_have_counted(chip: str) -> None:
    counted = import_module("benchmarks.latency.contexts_fit").gains(chip)
    target = find_target(chip)
    shipped = gain(target, target.cores)
    assert shipped == pytest.approx(median(counted.values()), rel=0.005)
    inside = [1 / GAIN_BAND < factor / shipped < GAIN_BAND for factor in counted.values()]
    assert fmean(inside) >= 0.9


def test_more_contexts_do_more_frames_up_to_the_cores() -> None:
    for target in TARGETS:
        rates = throughputs(ApplicationTime(20.0, 16.0, 25.0), target)
        assert rates[0].fps == 50.0
        assert all(rate.low < rate.fps < rate.high for rate in rates)
        assert [rate.contexts for rate in rates] == list(range(1, target.cores + 1))
        assert list(rates) == sorted(rates, key=lambda rate: rate.fps)
