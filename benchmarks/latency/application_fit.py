"""Fit what an application adds to the NPU's time, and say how good that is. From the root:

    python -m benchmarks.latency.application_fit

Fitted on one source (go in applications.csv) with the NPU's time as it is published. Its errors are
those on families left out, with the estimate's own error on top, and on another source (profile).
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from math import ceil, exp, log
from statistics import fmean, median

import numpy as np
from scipy.optimize import least_squares

from rockpress.convert.latency.application import (
    BAND,
    FLOAT16_INPUT,
    ApplicationFit,
    float16_inputs,
    output_elements,
)
from rockpress.core.types import Array

from .ratios import estimated_ms
from .records import FOLDER, read_published, read_tables

CHIPS = ("rk3588", "rk3576", "rk3566")
TOOLKIT = "2.3.2"  # of the published times
# Where the fit starts from and is held to, as logarithms with their standard deviations: a tenth
# more than the NPU alone, and copies of 2.5 ns an element.
_PRIOR = ((log(1.1), 0.3), (log(2.5), 0.4))
_NOISE = 0.08  # of the logarithm of a published time


@dataclass(frozen=True)
class Run:
    """One timed program. ``npu_ms`` is published, ``estimated_ms`` of a fit without its family."""

    source: str
    chip: str
    model: str
    family: str
    ms: float
    npu_ms: float
    estimated_ms: float
    elements: float  # of the outputs, in millions
    converted: float  # of the inputs to float16, in millions


@cache
def runs() -> tuple[Run, ...]:
    """Return the timed programs for the chips with published times of the NPU alone."""
    return tuple(_runs())


def _runs() -> Iterator[Run]:
    networks = {network.model: network for network in read_published()}
    estimated = {
        (row["chip"], row["model"]): float(row["family_left_out_ms"])
        for row in read_rows("errors.csv")
        if row["toolkit"] == "2.3.2"  # which the published models were compiled with
        if row.get("toolkit", TOOLKIT) == TOOLKIT
    }
    for row in read_rows("applications.csv"):
        chip, model = row["chip"], row["model"]
        if chip in CHIPS:
            network = networks[model]
            npu_ms = 1000 / network.fps[chip]
            times = float(row["ms"]), npu_ms, estimated.get((chip, model), npu_ms)
            layers = next(iter(read_tables(model).values()))
            sizes = output_elements(layers) / 1e6, float16_inputs(layers) / 1e6
            yield Run(row["source"], chip, model, network.family, *times, *sizes)


def read_rows(name: str) -> list[dict[str, str]]:
    """Return the rows of a file beside this one, without its comment."""
    lines = (FOLDER / name).read_text(encoding="utf-8").splitlines()
    return list(csv.DictReader(line for line in lines if not line.startswith("#")))


def fit(timed: Sequence[Run]) -> ApplicationFit:
    """Return the coefficients that fit one chip's programs; outliers count less (Cauchy)."""
    centre, spread = np.array(_PRIOR).T

    def residuals(point: Array) -> Array:
        tried = ApplicationFit(*np.exp(point))
        errors = [log_error(tried, run, run.npu_ms) / _NOISE for run in timed]
        return np.concatenate([errors, (point - centre) / spread])

    return ApplicationFit(*np.exp(least_squares(residuals, centre, loss="cauchy", f_scale=2).x))


def log_error(fitted: ApplicationFit, run: Run, npu_ms: float) -> float:
    """Return the logarithm of the estimated over the timed."""
    ms = fitted.factor * npu_ms + fitted.output * run.elements + FLOAT16_INPUT * run.converted
    return log(ms / run.ms)


def of_chip(chip: str, source: str = "go") -> tuple[Run, ...]:
    """Return one source's programs on one chip."""
    return tuple(run for run in runs() if (run.chip, run.source) == (chip, source))


def left_out(chip: str) -> Iterator[tuple[Run, float, float]]:
    """Yield each program with its errors when its family is left out.

    The first is with the NPU's time as published, the second with it estimated.
    """
    for family in sorted({run.family for run in of_chip(chip)}):
        fitted = fit([run for run in of_chip(chip) if run.family != family])
        for run in of_chip(chip):
            if run.family == family:
                yield _judged(fitted, run)


def other_source() -> list[tuple[Run, float, float]]:
    """Return the programs of the source that the fit has not seen, with the same two errors."""
    fitted = fit(of_chip("rk3588"))
    return [_judged(fitted, run) for run in of_chip("rk3588", "profile")]


def _judged(fitted: ApplicationFit, run: Run) -> tuple[Run, float, float]:
    return run, log_error(fitted, run, run.npu_ms), log_error(fitted, run, run.estimated_ms)


def all_judged() -> list[tuple[Run, float, float]]:
    """Return the errors of all programs whose family or source the fit has not seen."""
    return [*other_source(), *(error for chip in CHIPS for error in left_out(chip))]


def band() -> float:
    """Return the factor within which nine of ten of them are, the NPU's time estimated."""
    factors = sorted(exp(abs(error)) for *_, error in all_judged())
    return factors[ceil(0.9 * len(factors)) - 1]


def conversions() -> list[float]:
    """Return what programs take more in float16 than the NPU does, ms a million input elements."""
    more = []
    for row in read_rows("pairs.csv"):
        if row["source"] != "zoo" and "again" not in row["source"]:
            chip, model = row["chip"], row["model"]
            on_npu = estimated_ms(model, chip, "fp16") - estimated_ms(model, chip, "int8")
            whole = float(row["float16_ms"]) - float(row["int8_ms"])
            layers = read_tables(f"{model}-fp16", TOOLKIT)[chip]
            more.append((whole - fit(of_chip(chip)).factor * on_npu) * 1e6 / float16_inputs(layers))
    return more


def repeated() -> list[float]:
    """Return by how much the first source differs from itself where it says a time twice."""
    again = {run.model: run.ms for run in of_chip("rk3588", "go-again")}
    return [abs(log(again[run.model] / run.ms)) for run in of_chip("rk3588") if run.model in again]


def _line(title: str, errors: Iterable[float]) -> str:
    sizes = sorted(exp(abs(error)) - 1 for error in errors)
    return f"  {title:44}{fmean(sizes):8.1%}{median(sizes):8.1%}{sizes[-1]:8.1%}"


def main() -> int:
    """Print it; exit with 1 when the shipped band does not hold nine of ten."""
    for chip in CHIPS:
        errors = list(left_out(chip))
        print(f"{chip}: {fit(of_chip(chip))}, {len(errors)} programs    mean  median   worst")
        print(_line("family left out, NPU as published", (error for _, error, _ in errors)))
        print(_line("family left out, NPU estimated", (error for *_, error in errors)))
    print(_line("the other source, NPU as published", (error for _, error, _ in other_source())))
    print(_line("the other source, NPU estimated", (error for *_, error in other_source())))
    print(_line("the first source against itself", repeated()))
    print("to float16, ms a million elements:", *(f"{ms:.0f}" for ms in sorted(conversions())))
    print(f"band: a factor of {band():.3f}, shipped {BAND}")
    return int(band() > BAND)


if __name__ == "__main__":
    sys.exit(main())
