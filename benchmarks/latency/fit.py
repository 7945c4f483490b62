"""Fit the latency estimate to the published times, and say how far it is off.

The error is that of models whose whole family was left out of everything, on all chips, the choice
among eight forms included (nested cross-validation): for each family, the form is chosen by leaving
out one more family at a time from the rest, by the errors on networks and on a board's layers.
Needs the tables in tables/ and no board, compiler or PyTorch. From the repository's root:

    python -m benchmarks.latency.fit            the report, errors.csv and layer_errors.csv
    python -m benchmarks.latency.fit --quick    the coefficients of the form in use, nothing else
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from rockpress.convert.chips.targets import find_target

from .board import FAMILIES, runs
from .conformal import Errors, shipped_bands
from .data import NAMES, TOOLKITS, Form, measured, prior, rows_of, rows_of_run, sums_of
from .joint import Array, Fit, Rows, fit, predict
from .layer_errors import by_operator, timed_as, write_layer_errors
from .records import CHIPS, FOLDER
from .report import Scores, ratio_factor, report, write_errors

FORM = Form()
FORMS = [Form(*choices) for choices in itertools.product((False, True), repeat=3)]
PLAIN = {
    "MACs": ("macs",),
    "MACs and a constant": ("macs", "constant"),
    "cycles": ("cycles",),
    "cycles, lookups, memory, layers": ("cycles", "lookups", "moved", "layers"),
}


@cache
def networks(toolkit: str, form: Form) -> tuple[Rows, ...]:
    """Return all models, by chip."""
    return tuple(rows_of(measured(chip, toolkit), find_target(chip), form) for chip in CHIPS)


@cache
def board(form: Form) -> tuple[Rows, ...]:
    """Return the layers timed on a board, by run."""
    return tuple(rows_of_run(run, form) for run in runs())


def families(chip: str, toolkit: str) -> list[str]:
    """Return that of every model, in the order of the rows."""
    return [model.published.family for model in measured(chip, toolkit)]


def everybody(toolkit: str) -> list[str]:
    """Return all families."""
    return sorted({family for chip in CHIPS for family in families(chip, toolkit)})


@cache
def fitted(toolkit: str, form: Form, left_out: frozenset[str] = frozenset()) -> Fit:
    """Fit without some families, their networks' layers on the board included."""
    parts = [
        rows.only(_others(families(chip, toolkit), left_out))
        for chip, rows in zip(CHIPS, networks(toolkit, form), strict=True)
    ]
    timed = [
        rows
        for run, rows in zip(runs(), board(form), strict=True)
        if not FAMILIES[run.model] & left_out
    ]
    near = fitted(toolkit, form) if left_out else None
    return fit(parts, timed, prior(), form.overlaps, near)


def _others(names: Sequence[str], left_out: frozenset[str]) -> NDArray[np.bool_]:
    return np.array([name not in left_out for name in names])


def errors(toolkit: str, form: Form, left_out: frozenset[str], family: str) -> list[Array]:
    """Return log(estimate / published) by chip on one family, of a fit that saw no left-out one."""
    fitting = fitted(toolkit, form, left_out | {family})
    logs = []
    for index, chip in enumerate(CHIPS):
        rest = _others(families(chip, toolkit), frozenset({family}))
        part = networks(toolkit, form)[index].only(~rest)
        ms = predict(part, fitting.coefficients[index], form.overlaps)
        logs.append(np.log(ms / part.ms))
    return logs


def without(toolkit: str, form: Form, left_out: frozenset[str] = frozenset()) -> Errors:
    """Return the errors of every family that is not ``left_out``, itself left out of its fit."""
    rest = [family for family in everybody(toolkit) if family not in left_out]
    return {family: errors(toolkit, form, left_out, family) for family in rest}


def choose(toolkit: str, left_out: frozenset[str] = frozenset()) -> Form:
    """Return the form with the least error on families left out of what is there."""
    return min(FORMS, key=lambda form: _mean_error(toolkit, form, left_out))


def _mean_error(toolkit: str, form: Form, left_out: frozenset[str]) -> float:
    """Return that of the chips and of the layers on a board, each counted once."""
    errors_of = without(toolkit, form, left_out)
    by_chip = [np.concatenate(chip) for chip in zip(*errors_of.values(), strict=True)]
    layers = np.concatenate(list(_layers(toolkit, form, left_out)))
    return float(np.mean([np.abs(logs).mean() for logs in (*by_chip, layers)]))


def _layers(toolkit: str, form: Form, left_out: frozenset[str]) -> Iterator[Array]:
    """Yield the errors on the layers of each run whose families are there, left out of the fit."""
    for run, rows in zip(runs(), board(form), strict=True):
        if not FAMILIES[run.model] & left_out:
            fitting = fitted(toolkit, form, left_out | FAMILIES[run.model])
            yield np.log(timed_as(rows, fitting, form) / rows.ms)


def in_order(errors_of: Errors, chip: str, toolkit: str) -> Array:
    """Return the relative errors of a chip's models, in the order of the rows."""
    names, index = np.array(families(chip, toolkit)), CHIPS.index(chip)
    result = np.zeros(len(names))
    for family, logs in errors_of.items():
        result[names == family] = np.expm1(logs[index])
    return result


def one_out(toolkit: str, form: Form) -> dict[str, Array]:
    """Return the relative errors with one model left out at a time, on all chips."""
    rows = dict(zip(CHIPS, networks(toolkit, form), strict=True))
    models = {chip: [model.published.model for model in measured(chip, toolkit)] for chip in CHIPS}
    result = {chip: np.zeros(len(models[chip])) for chip in CHIPS}
    whole = fitted(toolkit, form)
    for model in sorted(set(itertools.chain.from_iterable(models.values()))):
        keep = {chip: np.array([name != model for name in models[chip]]) for chip in CHIPS}
        timed = [r for run, r in zip(runs(), board(form), strict=True) if run.model != model]
        fitting = fit(
            [rows[chip].only(keep[chip]) for chip in CHIPS], timed, prior(), form.overlaps, whole
        )
        for chip, coefficients in zip(CHIPS, fitting.coefficients, strict=True):
            part = rows[chip].only(~keep[chip])
            ms = predict(part, coefficients, form.overlaps)
            result[chip][~keep[chip]] = ms / part.ms - 1
    return result


def plain(chip: str, columns: Sequence[str], toolkit: str = TOOLKITS[0]) -> Array:
    """Return the relative errors of a plain estimate on families left out."""
    models, names = measured(chip, toolkit), families(chip, toolkit)
    sums = sums_of(models, columns) / np.array([[model.ms] for model in models])
    result = np.zeros(len(models))
    for family in set(names):
        rest = _others(names, frozenset({family}))
        factors, _ = nnls(sums[rest], np.ones(rest.sum()))
        result[~rest] = sums[~rest] @ factors - 1
    return result


def near(chip: str, toolkit: str, form: Form) -> list[tuple[str, float, float]]:
    """Return transformers, which no fit has seen: name, published and estimated ms."""
    models = measured(chip, toolkit, "near")
    if not models:
        return []
    rows = rows_of(models, find_target(chip), form)
    coefficients = fitted(toolkit, form).coefficients[CHIPS.index(chip)]
    guessed = predict(rows, coefficients, form.overlaps)
    return [
        (model.published.model, model.ms, ms) for model, ms in zip(models, guessed, strict=True)
    ]


def print_coefficients(form: Form) -> None:
    """Print them as they stand in convert/latency/coefficients.py."""
    for toolkit in TOOLKITS:
        print(f"\ntables of {toolkit}: {', '.join(NAMES)}")
        for chip, values in zip(CHIPS, fitted(toolkit, form).coefficients, strict=True):
            print(f'    "{chip}": Coefficients({", ".join(f"{value:.4g}" for value in values)}),')


def scores_of(toolkit: str, chosen: dict[str, Form]) -> dict[str, Scores]:
    """Return all ways to estimate, by chip; the form is that chosen without the family."""
    nested: dict[str, list[Array]] = {}
    factors: dict[str, tuple[float, float]] = {}
    for family, form in chosen.items():
        nested[family] = errors(toolkit, form, frozenset(), family)
        rest = without(toolkit, form, frozenset({family}))
        factors[family] = shipped_bands(rest, sizes_of(toolkit))
    alone = one_out(toolkit, FORM)
    return {
        chip: Scores(
            measured(chip, toolkit),
            in_order(nested, chip, toolkit),
            alone[chip],
            {name: plain(chip, columns, toolkit) for name, columns in PLAIN.items()},
            near(chip, toolkit, FORM),
            factors,
        )
        for chip in CHIPS
    }


def sizes_of(toolkit: str) -> dict[str, list[Array]]:
    """Return the published ms of every family, by chip."""
    result: dict[str, list[Array]] = {}
    for family in everybody(toolkit):
        by_chip = [measured(chip, toolkit) for chip in CHIPS]
        result[family] = [
            np.array([model.ms for model in models if model.published.family == family])
            for models in by_chip
        ]
    return result


def main() -> int:
    """Print the report, or the coefficients alone."""
    if "--quick" in sys.argv[1:]:
        print_coefficients(FORM)
        return 0
    usual = TOOLKITS[0]  # what was published was compiled with, so that it decides on the form
    chosen = {family: choose(usual, frozenset({family})) for family in everybody(usual)}
    for family, form in chosen.items():
        print(f"  without {family:14}{form if form != FORM else 'the shipped form'}")
    scores = {}
    for toolkit in TOOLKITS:
        print(f"\ntables of {toolkit}")
        scores[toolkit] = scores_of(toolkit, chosen)
        report(scores[toolkit])
        usual_band, short = shipped_bands(without(toolkit, FORM), sizes_of(toolkit))
        ratio = ratio_factor([chip.ratios() for chip in scores[toolkit].values()])
        print(f"\nbands: {usual_band:.3f}, short {short:.3f}, ratio {ratio:.3f}")
    write_errors(scores, FOLDER / "errors.csv")
    write_layer_errors(by_operator(usual, FORM), FOLDER / "layer_errors.csv")
    print_coefficients(FORM)
    best = choose(usual)
    print(f"\nchosen with everything there: {best}")
    return int(best != FORM)


if __name__ == "__main__":
    sys.exit(main())
