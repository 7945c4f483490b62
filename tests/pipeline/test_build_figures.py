"""What a build costs: the NPU alone, an application, contexts, and ratios with their bands."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rockpress.accuracy.compare import Comparison
from rockpress.convert.chips.compiler_log import Layer
from rockpress.convert.chips.targets import find_target
from rockpress.convert.compiled_model import CompiledModel
from rockpress.convert.latency.bands import ratio_band
from rockpress.convert.latency.estimate import estimate
from rockpress.core.diagnostics import mentioned
from rockpress.core.results.model_figures import LatencyFigure, LatencyScale, ModelRow, Ratios
from rockpress.pipeline.figures.build_figures import (
    builds_ratio,
    differing,
    latency_figures,
    layer_rows,
    ratios_of,
    throughput_figures,
    with_build,
)
from rockpress.pipeline.figures.result_warnings import result_warnings
from rockpress.pipeline.options.check_options import Gates
from rockpress.report.text.latency_text import build_lines
from rockpress.report.text.pruning_text import saved_text
from sample_reports import GOOD

X = ((1, 64, 56, 56),)
LAYERS = (
    Layer(1, "ConvRelu", "INT8", "NPU", X, X, 90_000, 4_000_000, 4_000_000, "Conv:a"),
    Layer(2, "OutputOperator", "INT8", "CPU", X, (), 0, 0, 0, "OutputOperator:y"),
)


def built(chip: str, scale: LatencyScale | None = None) -> CompiledModel:
    latency = estimate(LAYERS, find_target(chip))
    assert latency is not None
    return CompiledModel(
        target=chip,
        toolkit="2.5.0",
        quantization="qdq",
        layers=LAYERS,
        cycles=4_000_000,
        latency=replace(latency, scale=scale),
    )


def test_the_npu_alone_and_an_application_are_told_apart() -> None:
    alone, application = latency_figures(built("rk3588"))
    assert (alone.kind, application.kind) == ("npu-estimate", "application-estimate")
    assert alone.ms is not None and application.ms is not None
    assert application.ms > alone.ms
    assert (alone.cycles, application.cycles) == (4_000_000, None)
    first, _, third = throughput_figures(built("rk3588"))
    assert first.fps == pytest.approx(1000 / application.ms)
    assert first.fps < third.fps < 3 * first.fps


def test_an_application_is_no_surer_than_the_npu_in_it() -> None:
    model = built("rk3588")
    assert model.latency is not None and model.latency.ms is not None
    unsure = replace(model.latency, low=model.latency.ms / 3, high=model.latency.ms * 3)
    _, application = latency_figures(replace(model, latency=unsure))
    assert application.ms is not None
    assert application.low == pytest.approx(application.ms / 3)
    assert application.high == pytest.approx(application.ms * 3)


@pytest.mark.parametrize("chip", ["rk3588", "rk3576", "rk3566", "rv1126b"])
def test_an_application_is_never_faster_than_the_npu_in_it(chip: str) -> None:
    alone, application = latency_figures(built(chip))
    assert alone.low is not None and application.low is not None
    assert application.low >= alone.low
    assert throughput_figures(built(chip))[0].high <= 1000 / alone.low


def test_an_application_says_of_which_program_it_is() -> None:
    programs = {chip: latency_figures(built(chip))[1].program for chip in ("rk3588", "rv1126b")}
    assert programs == {"rk3588": "C", "rv1126b": "Python"}
    (line,) = build_lines(latency_figures(built("rv1126b")), (), {})
    assert line.startswith("in an application in Python, with inputs, and outputs in float32: ")


@pytest.mark.parametrize(("chip", "kinds"), [("rk3562", ["npu-estimate"]), ("rv1106", [])])
def test_where_nobody_has_timed_an_application_there_is_none(chip: str, kinds: list[str]) -> None:
    figures = latency_figures(built(chip))
    assert [figure.kind for figure in figures if figure.ms is not None] == kinds
    assert throughput_figures(built(chip)) == ()


def test_the_layers_add_up_to_the_scaled_estimate() -> None:
    plain, scaled = (layer_rows(built("rk3588", each)) for each in (None, LatencyScale(1.5, 1)))
    sums = [sum(row.ms or 0 for row in rows) for rows in (plain, scaled)]
    assert sums[1] == pytest.approx(1.5 * sums[0])
    assert {row.bound for row in plain} <= {"compute", "memory", "activation", "cpu", "overhead"}


def test_a_ratio_has_the_band_of_what_differs() -> None:
    reference = ModelRow("reference-float16", None, 100, latency=(npu(10.0),))
    result = ModelRow("rknn", None, 50, latency=(npu(5.0),))
    assert ratios_of(result, reference) == Ratios(0.5, 0.5, 1.0)
    formats, forms = (ratios_of(result, reference, of) for of in ("formats", "forms"))
    assert formats.latency == forms.latency == 0.5
    assert formats.latency_high == pytest.approx(0.5 * ratio_band("formats"))
    assert forms.latency_low == pytest.approx(0.5 / ratio_band("forms"))
    assert (formats.latency_high or 0) > (forms.latency_high or 0)
    model = built("rk3588")
    assert differing(model) == "formats"
    assert differing(replace(model, quantization="float16")) == "forms"


@pytest.mark.parametrize("chip", ["rk3588", "rv1106"])
def test_two_forms_have_a_ratio_also_on_a_chip_without_milliseconds(chip: str) -> None:
    model = built(chip)
    twice = replace(model, layers=(*model.layers, *model.layers))
    if model.latency is not None and model.latency.ms is not None:
        twice = replace(twice, latency=replace(model.latency, ms=2 * model.latency.ms))
    latency, low, high = builds_ratio(twice, model)
    assert latency == pytest.approx(2)
    assert low is not None and high is not None
    assert high / low == pytest.approx((ratio_band("forms") if chip == "rk3588" else 1.3) ** 2)


@pytest.mark.parametrize("chip", ["rk3588", "rv1106"])
def test_what_pruning_saved_is_of_the_final_build(chip: str) -> None:
    """A build at a lower level of optimisation has more layers, and may cost more than unpruned."""
    unpruned, figure = built(chip), GOOD.pruning
    assert figure is not None
    final = replace(unpruned, layers=(*LAYERS, LAYERS[0]), cycles=5_000_000)
    latency = estimate(final.layers, find_target(chip))
    final = replace(final, latency=latency)
    figure, mixed = (with_build(figure, final, unpruned, is_mixed=each) for each in (False, True))
    assert figure.cycles_ratio == 1.25 and figure.macs_ratio == 0.5
    assert figure.latency_ratio is not None and figure.latency_ratio > 1
    assert mixed.latency_ratio == figure.latency_ratio
    assert (mixed.latency_high or 0) > (figure.latency_high or 0) > figure.latency_ratio
    comparison = Comparison("top1", None, None, None, None, 30.0, 500)
    (warning,) = result_warnings(None, comparison, Gates(), pruning=figure)
    assert warning.code == "pruning-no-faster" and mentioned(warning.hint) == [("max-drop", None)]
    by_budget = replace(figure, attempts=())
    (warning,) = result_warnings(None, comparison, Gates(), pruning=by_budget)
    assert mentioned(warning.hint) == [("prune", None)]
    faster = replace(figure, latency_ratio=0.99)
    assert result_warnings(None, comparison, Gates(), pruning=faster) == ()


def test_a_ratio_without_milliseconds_says_what_it_is_by() -> None:
    assert GOOD.pruning is not None
    figure = replace(GOOD.pruning, latency_ratio=0.9, latency_low=0.7, latency_high=1.2)
    assert "typical" not in saved_text(GOOD, figure)
    unknown = replace(GOOD.models[-1], latency=(LatencyFigure("npu-estimate", None, cycles=9),))
    text = saved_text(replace(GOOD, models=(*GOOD.models[:-1], unknown)), figure)
    assert "latency -10.0% (90 %: -30.0% to +20.0%, by typical coefficients)" in text


def npu(ms: float) -> LatencyFigure:
    return LatencyFigure("npu-estimate", ms, ms / 1.2, ms * 1.2, 1000)
