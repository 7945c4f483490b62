"""The coefficients that ship are those of the fit, and its errors are those that are told."""

from __future__ import annotations

import csv
import re
from importlib import import_module
from math import prod
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from rockpress.convert.chips.targets import find_target
from rockpress.convert.latency.coefficients import Coefficients, coefficients_of
from rockpress.convert.latency.estimate import estimate

ROOT = Path(__file__).resolve().parents[2]
CHIPS = ("rk3588", "rk3576", "rk3562", "rk3566")


@pytest.fixture
def fit() -> Any:
    return import_module("benchmarks.latency.fit")


def shipped(chip: str) -> Coefficients:
    found = coefficients_of(find_target(chip))
    assert found is not None
    return found


@pytest.mark.parametrize("chip", CHIPS)
def test_the_shipped_coefficients_are_those_of_the_tables(fit: Any, chip: str) -> None:
    found = fit.coefficients(chip, fit.Setting(fit.FORM, fit.RIDGE), frozenset())
    for name, value in zip(fit.JOINED + fit.ADDED, found, strict=True):
        assert getattr(shipped(chip), name) == pytest.approx(value, rel=0.01), name


@pytest.mark.parametrize("chip", CHIPS)
def test_the_shipped_estimate_is_the_fits_own(fit: Any, chip: str) -> None:
    setting = fit.Setting(fit.FORM, fit.RIDGE)
    found = fit.np.array(fit.coefficients(chip, setting, frozenset()))
    models = fit.measured(chip)
    whole = fit.problem_of(models, find_target(chip), fit.FORM)
    for one, ms in zip(models, fit.predict(whole, found, fit.FORM.exponent), strict=True):
        latency = estimate(one.layers, find_target(chip))
        assert latency is not None
        assert latency.ms == pytest.approx(ms, rel=0.01), one.published.model


def errors(chip: str) -> dict[str, float]:
    """Relative, of every model, its family left out of the fit and of the choice of its form."""
    with (ROOT / "benchmarks/latency/errors.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["chip"] == chip]
    return {
        row["model"]: float(row["family_left_out_ms"]) / float(row["published_ms"]) - 1
        for row in rows
    }


@pytest.mark.parametrize("chip", CHIPS)
def test_the_document_tells_these_errors(chip: str) -> None:
    text = (ROOT / "docs/latency.md").read_text(encoding="utf-8")
    row = re.search(rf"^\| {chip}\b.*$", text, re.MULTILINE)
    assert row is not None
    cells = [cell.strip() for cell in row[0].strip("|").split("|")]
    sizes = [100 * abs(error) for error in errors(chip).values()]
    assert cells[1] == str(len(sizes))
    assert cells[2] == f"{fmean(sizes):.1f} %"
    assert cells[4] == f"{max(sizes):.0f} %"


@pytest.mark.parametrize("chip", CHIPS)
def test_the_fit_is_never_worse_than_the_number_of_operations(fit: Any, chip: str) -> None:
    sizes = [abs(error) for error in errors(chip).values()]
    for columns in (("macs",), ("macs", "one"), ("cycles",)):
        assert fmean(sizes) < fmean(abs(error) for error in fit.plain(chip, columns))


def test_operations_are_counted_from_the_shapes(fit: Any) -> None:
    """MobileNet v2 has 300.8 million multiply-accumulates."""
    data = import_module("benchmarks.latency.data")
    (one,) = [one for one in fit.measured("rk3588") if one.published.model == "mobilenetv2-12"]
    assert sum(map(data.macs, one.layers)) == pytest.approx(300.8e6, rel=0.001)


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
