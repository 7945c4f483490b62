"""Warnings and ratios that follow from results alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rockpress.accuracy.compare import Comparison, compare
from rockpress.core.results.model_figures import LatencyFigure, ModelRow, Ratios
from rockpress.core.results.part_figures import PartFigure
from rockpress.core.results.report import GateFigure
from rockpress.pipeline.check import _ratios
from rockpress.pipeline.figures.figures_of import gate_figures
from rockpress.pipeline.figures.result_warnings import result_warnings
from rockpress.pipeline.options.check_options import Gates
from rockpress.report.text.verdict import gate_text

UNLABELLED = Comparison(None, None, None, None, None, 10.0, 16)


@pytest.mark.parametrize(("sqnr_db", "codes"), [(17.9, ["retention-low-similarity"]), (18.1, [])])
def test_unlabelled_outputs_far_from_the_baseline_are_told(
    sqnr_db: float, codes: list[str]
) -> None:
    found = result_warnings(None, replace(UNLABELLED, sqnr_db=sqnr_db), Gates())
    assert [one.code for one in found] == codes


@pytest.mark.parametrize(("agreement", "is_doubted"), [(0.25, True), (0.45, False), (None, False)])
def test_unlabelled_outputs_most_of_which_predict_something_else(
    agreement: float | None, is_doubted: bool
) -> None:
    comparison = replace(UNLABELLED, sqnr_db=40.0, agreement=agreement, samples=64)
    texts = [
        one.text
        for one in result_warnings(None, comparison, Gates())
        if one.code == "retention-low-similarity"
    ]
    assert texts == ["most predictions are not the baseline's"] * is_doubted


def test_unlabelled_outputs_are_told_to_be_far_on_the_median_sample() -> None:
    hidden = PartFigure("y", "y", 10, 40.0, 1.0, True, median_sqnr_db=9.0)
    comparison = replace(UNLABELLED, sqnr_db=40.0, parts=(hidden,))
    (warning,) = (
        one
        for one in result_warnings(None, comparison, Gates())
        if one.code == "retention-low-similarity"
    )
    assert "9.0 dB on the median sample" in warning.text
    ranked = replace(comparison, parts=(replace(hidden, ranked=True),))
    codes = [one.code for one in result_warnings(None, ranked, Gates())]
    assert "retention-low-similarity" not in codes


@pytest.mark.parametrize(("metric", "kind"), [(None, "labelled samples"), ("top1", "samples")])
def test_samples_that_are_too_alike_are_not_told_to_have_labels_twice(
    metric: str | None, kind: str
) -> None:
    noise = np.random.default_rng(0).normal(size=(2, 8, 4)).astype(np.float32)
    alike = np.arange(4, dtype=np.float32) + 0.2 * noise[0]
    comparison = compare([alike], [alike + 0.4 * noise[1]], None)
    warnings = result_warnings(None, replace(comparison, metric=metric), Gates())
    (hint,) = (each.hint for each in warnings if each.code == "retention-indistinct")
    assert hint.startswith(f"measure with {kind} (")


@pytest.mark.parametrize(("stage", "latency"), [("quantized", None), ("candidate", 2.0)])
def test_an_unoptimised_models_latency_is_not_compared(stage: str, latency: float | None) -> None:
    base = ModelRow("baseline", None, 100, macs=10, latency=(LatencyFigure("host", 1.0),))
    row = replace(base, stage=stage, bytes=50, latency=(LatencyFigure("host", 2.0),))
    assert _ratios(row, base) == Ratios(0.5, latency, None, 1.0)


def test_the_latency_gate_holds_the_unfavourable_end_against_its_limit() -> None:
    estimate = LatencyFigure("npu-estimate", 4.0, 3.4, 4.7, 1000)
    row = ModelRow("rknn", None, 100, latency=(estimate,))
    gates = Gates(max_latency_ms=4.5, confidence="lower")
    judged = gate_figures(gates, UNLABELLED, row, is_at_chance=False)
    assert judged[0] == GateFigure("max-latency-ms", 4.5, 4.7, False, "high", "npu-estimate")
    at_point = gate_figures(replace(gates, confidence="point"), UNLABELLED, row, is_at_chance=False)
    assert at_point[0] == GateFigure("max-latency-ms", 4.5, 4.0, True, kind="npu-estimate")


def test_a_latency_gate_says_what_was_timed() -> None:
    row = ModelRow("candidate", None, 100, latency=(LatencyFigure("host", 4.0),))
    (gate, *_) = gate_figures(Gates(max_latency_ms=3), UNLABELLED, row, is_at_chance=False)
    assert gate_text(gate) == "max-latency-ms 3 does not hold: 4 (measured, host CPU)"
