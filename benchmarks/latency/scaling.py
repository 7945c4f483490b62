"""How sure an estimate is that measured models have scaled (convert/latency/scaled.py).

    .venv/bin/python -m benchmarks.latency.scaling

Every published model is estimated from a few others as if these alone had been timed on the board,
each of another family than its own. A chip of the fit is estimated by fits that had not seen the
family (errors.csv); one without, by the geometric mean of the other chips' coefficients, which have
seen the same models there.
"""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from statistics import fmean
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from rockpress.convert.chips.targets import find_target
from rockpress.convert.latency.bands import band_of
from rockpress.convert.latency.coefficients import FITTED, Coefficients
from rockpress.convert.latency.estimate import estimate
from rockpress.convert.latency.scaled import TYPICAL_BAND, scaled_band
from rockpress.core.results.model_figures import LatencyScale

from .data import measured
from .records import CHIPS, FOLDER, read_published
from .report import ratio_errors

COUNTS = (1, 2, 3, 5)  # of measured models
_DRAWS = 200  # of others, for each model
_TOOLKIT = "2.5.0"
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Estimated:
    """A model of a family, its estimate in ms, and the log of estimated over published ms."""

    model: str
    family: str
    ms: float
    error: float


@dataclass(frozen=True)
class Scaled:
    """A model estimated at the scale of others: the log of its error, its band, its weight."""

    error: float
    band: float
    weight: float


def fitted(chip: str) -> list[Estimated]:
    """Return the models of a chip by fits that had not seen their families."""
    families = {row.model: row.family for row in read_published()}
    lines = (FOLDER / "errors.csv").read_text(encoding="utf-8").splitlines()
    rows = [row for row in csv.DictReader(lines) if row["chip"] == chip]
    by_model = {row["model"]: row for row in reversed(rows)}  # the first of each counts
    return [
        _estimated(
            model,
            families[model],
            float(row["family_left_out_ms"]),
            float(row["published_ms"]),
        )
        for model, row in by_model.items()
    ]


def unfitted(chip: str) -> list[Estimated]:
    """Return the models of a chip as if nothing had been published for it."""
    start = max(FITTED)
    with patch.dict(FITTED, {start: {**FITTED[start], chip: _mean_without(chip, FITTED[start])}}):
        return list(_estimates(chip))


def _mean_without(chip: str, fits: Mapping[str, Coefficients]) -> Coefficients:
    others = [fits[other] for other in CHIPS if other != chip]
    means = {
        part.name: math.exp(fmean(math.log(getattr(fit, part.name)) for fit in others))
        for part in fields(Coefficients)
    }
    return Coefficients(**means)


def _estimates(chip: str) -> Iterator[Estimated]:
    for each in measured(chip, _TOOLKIT):
        latency = estimate(each.layers, find_target(chip), _TOOLKIT)
        assert latency is not None and latency.ms is not None
        yield _estimated(each.published.model, each.published.family, latency.ms, each.ms)


def _estimated(model: str, family: str, ms: float, published_ms: float) -> Estimated:
    return Estimated(model, family, ms, math.log(ms / published_ms))


def variant_ratios(models: Sequence[Estimated]) -> Array:
    """Return by what share the ratio of the times of two variants of a network is off, each."""
    relative = {model.model: math.expm1(model.error) for model in models}
    families = {model.model: model.family for model in models}
    logs = np.concatenate(list(ratio_errors(relative, families).values()))
    return np.asarray(np.abs(np.expm1(logs)))


def scaled(models: Sequence[Estimated], count: int, own_band: float | None) -> list[Scaled]:
    """Return every model at the scale of ``count`` others, drawn anew many times.

    ``own_band`` is what it may be off by where the factor of the chip is known; None for a chip of
    the fit, which has a band for each time.
    """
    random = np.random.default_rng(0)
    sizes = Counter(model.family for model in models)
    by_family = {family: [m for m in models if m.family == family] for family in sizes}
    results = []
    for model in models:
        others = sorted(set(sizes) - {model.family})
        own = own_band or band_of(model.ms, "rk3588")[1] / model.ms
        for _ in range(_DRAWS):
            drawn = random.choice(others, count, replace=False)
            errors = [random.choice([m.error for m in by_family[name]]) for name in drawn]
            mean = fmean(errors)
            spread = math.exp(max(abs(error - mean) for error in errors))
            band = scaled_band(own, LatencyScale(1.0, count, spread))
            results.append(Scaled(model.error - mean, band, 1 / sizes[model.family]))
    return results


def coverage(results: Sequence[Scaled]) -> float:
    """Return the share that lies within its band, every family with the same weight."""
    inside = sum(result.weight for result in results if abs(result.error) <= math.log(result.band))
    return inside / sum(result.weight for result in results)


def quantile(results: Sequence[Scaled], share: float) -> float:
    """Return the factor that this share is off by at most, every family with the same weight."""
    ordered = sorted(results, key=lambda result: abs(result.error))
    weights: Array = np.cumsum([result.weight for result in ordered])
    place = int(np.searchsorted(weights, share * weights[-1]))
    return math.exp(abs(ordered[place].error))


def main() -> None:
    """Print mean error, the factor of nine in ten, what the shipped band covers, and ratios."""
    for title, models_of, band in (
        ("a chip of the fit", fitted, None),
        ("a chip without a fit", unfitted, TYPICAL_BAND),
    ):
        print(f"\n{title}\n{'':10}{'models':>8}{'mean error':>12}{'90 % within':>13}{'covered':>9}")
        for count in COUNTS:
            for chip in CHIPS:
                results = scaled(models_of(chip), count, band)
                mean = np.average(
                    [abs(math.expm1(result.error)) for result in results],
                    weights=[result.weight for result in results],
                )
                print(
                    f"{chip:10}{count:8}{mean:12.1%}{quantile(results, 0.9):13.2f}"
                    f"{coverage(results):9.0%}"
                )
    print("\nratio of two variants on a chip without a fit: mean, median, worst, within the band")
    for chip in CHIPS:
        errors = variant_ratios(unfitted(chip))
        inside = np.mean(errors <= TYPICAL_BAND - 1)
        print(
            f"{chip:10}{errors.mean():8.1%}{np.median(errors):8.1%}{errors.max():8.1%}{inside:6.0%}"
        )


if __name__ == "__main__":
    main()
