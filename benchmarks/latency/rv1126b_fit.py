"""Fit RV1126B to the seven programs that have been timed on one. From the repository's root:

    python -m benchmarks.latency.rv1126b_fit

Its NPU covers as many channels a cycle as that of RK3576. So it is taken to be the same, slower by
one factor, its memory by another; and the programs (from Python, with float outputs) to take a time
for each element of the outputs on top. Three unknowns, each held to a prior. yolov8n-pose is left
out: its float16 part is not said.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from math import exp, log
from statistics import fmean

import numpy as np
from scipy.optimize import least_squares

from rockpress.convert.chips.compiler_log import Layer
from rockpress.convert.chips.targets import find_target
from rockpress.convert.latency.application import output_elements
from rockpress.convert.latency.coefficients import RV1126B, coefficients_of
from rockpress.convert.latency.estimate import total_ms
from rockpress.core.types import Array

from .application_fit import read_rows
from .records import read_published, read_tables

_TOOLKIT = "2.3.2"
_LEFT_OUT = {"yolov8n-pose"}
_OTHER = "yolo11n-pose"  # timed in another program
# Logarithms and their standard deviations: a lower clock, a narrower bus, copies from Python.
_PRIOR = ((log(1.3), 0.4), (log(1.5), 0.4), (log(15), 0.7))
_NOISE = 0.08


@dataclass(frozen=True)
class Slower:
    """How much slower than RK3576, its memory besides, and ms a million elements of outputs."""

    by: float
    memory: float
    output: float


@dataclass(frozen=True)
class Program:
    """One timed program."""

    model: str
    family: str
    ms: float
    layers: tuple[Layer, ...]

    def npu_ms(self, slower: Slower) -> float:
        """Return the estimate for the NPU alone."""
        rk3576 = coefficients_of(find_target("rk3576"), _TOOLKIT)
        assert rk3576 is not None
        fit = rk3576.slower(slower.by, slower.memory)
        return total_ms(self.layers, find_target("rv1126b"), fit)

    def log_error(self, slower: Slower) -> float:
        """Return the logarithm of estimated over timed."""
        outputs = slower.output * output_elements(self.layers) / 1e6
        return log((self.npu_ms(slower) + outputs) / self.ms)


@cache
def programs() -> tuple[Program, ...]:
    """Return the programs that are fitted."""
    return tuple(
        program_of(row["model"], float(row["ms"]))
        for row in read_rows("applications.csv")
        if row["source"] == "recamera" and row["model"] not in _LEFT_OUT
    )


def program_of(model: str, ms: float) -> Program:
    """Return a timed program of a compiled model."""
    families = {network.model: network.family for network in read_published()}
    layers = read_tables(model, _TOOLKIT)["rv1126b"]
    return Program(model, families.get(model, ""), ms, layers)


def fit(timed: Sequence[Program]) -> Slower:
    """Return what meets these programs best."""
    centre, spread = np.array(_PRIOR).T

    def residuals(point: Array) -> Array:
        errors = [program.log_error(Slower(*np.exp(point))) / _NOISE for program in timed]
        return np.concatenate([errors, (point - centre) / spread])

    return Slower(*(float(each) for each in np.exp(least_squares(residuals, centre).x)))


def left_out(by: str) -> Iterator[tuple[Program, float]]:
    """Yield each program and its error when all of its ``by`` (model or family) are left out."""
    for name in sorted({getattr(program, by) for program in programs()}):
        fitted = fit([program for program in programs() if getattr(program, by) != name])
        for program in programs():
            if getattr(program, by) == name:
                yield program, program.log_error(fitted)


def splits() -> list[float]:
    """Return the NPU's time in splits of the programs' that meet them nearly as well as the best.

    Over the fitted one, for all programs: a speed is set, the rest fitted to it without a prior,
    and the root mean square error may be a fifth larger than the smallest.
    """
    trials = [_at_speed(by) for by in np.arange(0.6, 2.61, 0.1)]
    least = min(error for error, _ in trials)
    fitted = fit(programs())
    return [
        program.npu_ms(slower) / program.npu_ms(fitted)
        for error, slower in trials
        if error < 1.2 * least
        for program in programs()
    ]


def _at_speed(by: float) -> tuple[float, Slower]:
    def errors(point: Array) -> Array:
        return np.array([program.log_error(Slower(by, *np.exp(point))) for program in programs()])

    best = least_squares(errors, np.log([1.5, 15.0]))
    return float(np.sqrt(np.mean(best.fun**2))), Slower(by, *np.exp(best.x))


def main() -> int:
    """Print it; exit with 1 when what is shipped is another."""
    fitted = fit(programs())
    print(f"slower by {fitted.by:.2f}, memory {fitted.memory:.2f}, shipped {RV1126B}; ", end="")
    print(f"{fitted.output:.1f} ms a million elements of outputs")
    for program in programs():
        ratio = exp(program.log_error(fitted))
        print(
            f"  {program.model:14}{program.ms:7.1f} ms, NPU {program.npu_ms(fitted):5.1f}", end=""
        )
        print(f", together off by {ratio - 1:+.1%}")
    for by in ("model", "family"):
        errors = [exp(abs(error)) - 1 for _, error in left_out(by)]
        print(f"{by} left out: mean {fmean(errors):.1%}, worst {max(errors):.1%}")
    print(f"the NPU's part may be {min(splits()):.2f} to {max(splits()):.2f} of that")
    shipped = Slower(*RV1126B, fitted.output)
    other = next(row for row in read_rows("applications.csv") if row["model"] == _OTHER)
    alone = program_of(_OTHER, float(other["ms"])).npu_ms(shipped)
    print(f"{_OTHER} in another program: {other['ms']} ms, NPU {alone:.1f}")
    apart = max(abs(log(a / b)) for a, b in zip(RV1126B, (fitted.by, fitted.memory), strict=True))
    worst = max(abs(log(p.npu_ms(shipped) / p.npu_ms(fitted))) for p in programs())
    print(f"shipped against fitted: {exp(worst) - 1:.1%} apart in the NPU's time")
    return int(apart > 0.15)


if __name__ == "__main__":
    sys.exit(main())
