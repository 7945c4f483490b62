"""The coefficients that ship are those of the fit, and its errors are those that are told."""

from __future__ import annotations

import csv
import re
from functools import cache
from importlib import import_module
from math import log, prod
from pathlib import Path
from statistics import fmean, median
from typing import Any

import pytest

from rockpress.convert.chips.targets import find_target
from rockpress.convert.latency.bands import band_of, ratio_band
from rockpress.convert.latency.coefficients import coefficients_of
from rockpress.convert.latency.estimate import estimate

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "benchmarks/latency"
CHIPS = ("rk3588", "rk3576", "rk3562", "rk3566")
TOOLKITS = ("2.3.2", "2.5.0")


@pytest.fixture
def fit() -> Any:
    return import_module("benchmarks.latency.fit")


@cache
def rows(name: str) -> list[dict[str, str]]:
    with (FOLDER / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def errors(chip: str, toolkit: str = "2.3.2") -> dict[str, float]:
    """Relative, of every model, its family left out of the fit and of the choice of its form."""
    return {
        row["model"]: float(row["family_left_out_ms"]) / float(row["published_ms"]) - 1
        for row in rows("errors.csv")
        if (row["chip"], row["toolkit"]) == (chip, toolkit)
    }


@pytest.mark.parametrize("toolkit", TOOLKITS)
def test_the_shipped_coefficients_are_those_of_the_tables(fit: Any, toolkit: str) -> None:
    found = fit.fitted(toolkit, fit.FORM).coefficients
    for chip, values in zip(CHIPS, found, strict=True):
        shipped = coefficients_of(find_target(chip), toolkit)
        for name, value in zip(fit.NAMES, values, strict=True):
            assert getattr(shipped, name) == pytest.approx(value, rel=0.01), name


@pytest.mark.parametrize("chip", CHIPS)
def test_the_shipped_estimate_is_the_fits_own(fit: Any, chip: str) -> None:
    models, index = fit.measured(chip, "2.3.2"), CHIPS.index(chip)
    coefficients = fit.fitted("2.3.2", fit.FORM).coefficients[index]
    whole = fit.networks("2.3.2", fit.FORM)[index]
    for model, ms in zip(models, fit.predict(whole, coefficients, fit.FORM.overlaps), strict=True):
        latency = estimate(model.layers, find_target(chip), "2.3.2")
        assert latency is not None
        assert latency.ms == pytest.approx(ms, rel=0.01), model.published.model


@pytest.mark.parametrize("chip", CHIPS)
def test_the_errors_on_families_left_out_are_small(fit: Any, chip: str) -> None:
    assert set(errors(chip)) == {model.published.model for model in fit.measured(chip, "2.3.2")}
    sizes = [abs(error) for error in errors(chip).values()]
    assert fmean(sizes) <= 0.06
    assert median(sizes) <= 0.05
    assert max(sizes) <= 0.25


@pytest.mark.parametrize("toolkit", TOOLKITS)
def test_the_bands_of_other_families_cover_nine_of_ten(toolkit: str) -> None:
    covered = {chip: [_is_covered(row) for row in of_chip(toolkit, chip)] for chip in CHIPS}
    for chip in CHIPS:
        assert fmean(covered[chip]) >= 0.88, chip
    if toolkit == "2.3.2":  # whose bands ship
        assert 0.88 <= fmean(inside for chip in CHIPS for inside in covered[chip]) <= 0.98


def of_chip(toolkit: str, chip: str) -> list[dict[str, str]]:
    return [row for row in rows("errors.csv") if (row["toolkit"], row["chip"]) == (toolkit, chip)]


def _is_covered(row: dict[str, str]) -> bool:
    estimated, published = float(row["family_left_out_ms"]), float(row["published_ms"])
    return abs(log(estimated / published)) <= log(float(row["band"]))


@pytest.mark.parametrize("toolkit", TOOLKITS)
def test_the_shipped_bands_are_those_of_all_families(fit: Any, toolkit: str) -> None:
    families = fit.without(toolkit, fit.FORM)
    usual, short = fit.shipped_bands(families, fit.sizes_of(toolkit))
    assert band_of(1.0, "rk3588")[1] >= short - 0.006
    if toolkit == "2.3.2":
        assert band_of(10.0, "rk3588")[1] / 10.0 == pytest.approx(usual, abs=0.006)


def test_the_shipped_band_of_a_ratio_is_that_of_the_variants() -> None:
    report = import_module("benchmarks.latency.report")
    published = import_module("benchmarks.latency.records").read_published()
    families = {network.model: network.family for network in published}
    by_chip = [report.ratio_errors(errors(chip), families) for chip in CHIPS]
    assert ratio_band("forms") == pytest.approx(report.ratio_factor(by_chip), abs=0.006)
    for ratios in by_chip:
        sizes = [abs(error) for of in ratios.values() for error in of]
        assert fmean(size <= log(ratio_band("forms")) for size in sizes) >= 0.88
    sizes = [abs(error) for ratios in by_chip for of in ratios.values() for error in of]
    assert len(sizes) == 76
    assert fmean(sizes) <= 0.04


def test_single_layers_of_a_model_left_out_are_estimated(fit: Any) -> None:
    kinds: dict[str, list[dict[str, str]]] = {}
    for row in rows("layer_errors.csv"):
        kinds.setdefault(row["kind"], []).append(row)
    layers = sum(int(row["layers"]) for row in rows("layer_errors.csv"))
    assert layers == sum(
        len(run.layers) for run in import_module("benchmarks.latency.board").runs()
    )
    sizes = sum(float(row["sum_of_abs_log_error"]) for row in rows("layer_errors.csv"))
    assert sizes / layers <= 0.12
    for kind, of_kind in kinds.items():
        estimated = sum(float(row["estimated_us"]) for row in of_kind)
        measured = sum(float(row["measured_us"]) for row in of_kind)
        assert 0.85 <= estimated / measured <= 1.15, kind


@pytest.mark.parametrize("toolkit", TOOLKITS)
@pytest.mark.parametrize("chip", CHIPS)
def test_the_document_tells_these_errors(chip: str, toolkit: str) -> None:
    text = (ROOT / "docs/latency.md").read_text(encoding="utf-8")
    row = re.search(rf"^\| {chip}\b.*\| {re.escape(toolkit)} \|.*$", text, re.MULTILINE)
    assert row is not None
    cells = [cell.strip() for cell in row[0].strip("|").split("|")]
    sizes = [100 * abs(error) for error in errors(chip, toolkit).values()]
    assert cells[2] == str(len(sizes))
    assert cells[3] == f"{fmean(sizes):.1f} %"
    assert cells[4] == f"{median(sizes):.1f} %"
    assert cells[5] == f"{max(sizes):.0f} %"
    covered = fmean(_is_covered(row) for row in of_chip(toolkit, chip))
    assert cells[6] == f"{100 * covered:.0f} %"


@pytest.mark.parametrize("chip", CHIPS)
def test_the_fit_is_never_worse_than_what_is_simpler(fit: Any, chip: str) -> None:
    size = fmean(abs(error) for error in errors(chip).values())
    for columns in fit.PLAIN.values():
        assert size < fmean(abs(error) for error in fit.plain(chip, columns))
    former = [row for row in rows("former_errors.csv") if row["chip"] == chip]
    assert size < fmean(
        abs(float(row["family_left_out_ms"]) / float(row["published_ms"]) - 1) for row in former
    )


def test_operations_are_counted_from_the_shapes(fit: Any) -> None:
    """MobileNet v2 has 300.8 million multiply-accumulates."""
    data = import_module("benchmarks.latency.data")
    (model,) = [
        model
        for model in fit.measured("rk3588", "2.3.2")
        if model.published.model == "mobilenetv2-12"
    ]
    assert sum(map(data.macs, model.layers)) == pytest.approx(300.8e6, rel=0.001)


@pytest.mark.parametrize(
    ("model", "millions"),
    [
        ("mobilenetv2-12", 3.5),
        ("yolov5n", 1.9),
        ("yolov6n", 4.7),
        ("yolov7-tiny", 6.2),
        ("yolov8n", 3.2),
        ("yolov10n", 2.3),
        ("yolo11n", 2.6),
        ("ppyoloe_s", 7.93),
        ("yolox_s", 8.97),
    ],
)
def test_an_architecture_has_as_many_parameters_as_published(
    fit: Any, model: str, millions: float
) -> None:
    built = import_module("benchmarks.latency.architectures").ARCHITECTURES[model]()
    sizes = [prod(weight.dims) for weight in built.graph.initializer if len(weight.dims) > 0]
    assert sum(sizes) / 1e6 == pytest.approx(millions, rel=0.03)
