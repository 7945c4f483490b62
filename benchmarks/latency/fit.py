"""Fit the latency estimate to the published times, and say how far it is off.

The error is that of models whose whole family was left out of everything, the choice among the
forms included (nested cross-validation): for each family, the form is chosen by leaving out one
more family at a time from the rest. Needs the tables in tables/ and no board, compiler or PyTorch.
From the repository's root:

    python -m benchmarks.latency.fit            the report, and errors.csv; takes a few minutes
    python -m benchmarks.latency.fit --quick    the coefficients of the form in use, nothing else
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from rockpress.convert.chips.targets import find_target
from rockpress.convert.latency.work import FORM, Form

from .data import ADDED, JOINED, measured, plain_problem, prior, problem_of
from .records import CHIPS, FOLDER
from .regression import Array, Problem, fit, predict
from .report import Scores, report, write_errors


@dataclass(frozen=True)
class Setting:
    """One candidate: the form, and how strongly the prior holds."""

    form: Form
    ridge: float


RIDGE = 0.3  # of the form in use
SETTINGS = [
    Setting(Form(stem, padded, exponent, copy), ridge)
    for stem, padded, exponent, copy, ridge in itertools.product(
        (1.0, 0.25), (False, True), (1.0, 4.0), (1.0, 0.1), (0.1, 0.3)
    )
]
PLAIN = {
    "MACs": ("macs",),
    "MACs and a constant": ("macs", "one"),
    "cycles": ("cycles",),
    "cycles, lookups, memory, layers": ("cycles", "lookups", "moved", "layers"),
}


@cache
def problem(chip: str, form: Form) -> Problem:
    """All models of the chip; the exponent is no part of the work."""
    return problem_of(measured(chip), find_target(chip), form)


def families(chip: str) -> list[str]:
    """Of every model, in the order of the problem."""
    return [one.published.family for one in measured(chip)]


@cache
def coefficients(chip: str, setting: Setting, left_out: frozenset[str]) -> tuple[float, ...]:
    """Fitted without some families."""
    form = setting.form
    keep = np.array([family not in left_out for family in families(chip)])
    found = fit(_work(chip, form).only(keep), prior(chip), form.exponent, setting.ridge)
    return tuple(found)


def _work(chip: str, form: Form) -> Problem:
    return problem(chip, Form(form.stem, form.padded, 1.0, form.copy))


def errors(chip: str, setting: Setting, left_out: frozenset[str], family: str) -> Array:
    """Relative errors on one family, of a fit without it and without ``left_out``."""
    keep = np.array([one == family for one in families(chip)])
    found = np.array(coefficients(chip, setting, left_out | {family}))
    part = _work(chip, setting.form).only(keep)
    return predict(part, found, setting.form.exponent) / part.ms - 1


def mean_error(setting: Setting, left_out: frozenset[str]) -> float:
    """Over the chips, the mean error on a family left out, ``left_out`` not being there at all."""
    means = []
    for chip in CHIPS:
        others = sorted(set(families(chip)) - left_out)
        found = [errors(chip, setting, left_out, family) for family in others]
        means.append(np.abs(np.concatenate(found)).mean())
    return float(np.mean(means))


def choose(left_out: frozenset[str] = frozenset()) -> Setting:
    """The candidate with the least error on families left out of what is there."""
    return min(SETTINGS, key=lambda setting: mean_error(setting, left_out))


def nested(chip: str, chosen: dict[str, Setting]) -> Array:
    """Errors in the order of the problem, each family predicted by what the others chose."""
    return _by_family(
        families(chip), lambda family: errors(chip, chosen[family], frozenset(), family)
    )


def _by_family(names: Sequence[str], errors_of: Callable[[str], Array]) -> Array:
    found = np.zeros(len(names))
    for family in set(names):
        found[[one == family for one in names]] = errors_of(family)
    return found


def one_out(chip: str, setting: Setting) -> Array:
    """Errors with one model left out at a time."""
    whole, count = _work(chip, setting.form), len(families(chip))
    found = []
    for index in range(count):
        keep = np.arange(count) != index
        fitted = fit(whole.only(keep), prior(chip), setting.form.exponent, setting.ridge)
        part = whole.only(~keep)
        found.append(predict(part, fitted, setting.form.exponent)[0] / part.ms[0] - 1)
    return np.array(found)


def plain(chip: str, columns: Sequence[str]) -> Array:
    """Errors of a plain estimate on families left out."""
    whole, names = plain_problem(measured(chip), columns), families(chip)
    start = np.full(len(columns), 0.1)

    def errors_of(family: str) -> Array:
        keep = np.array([one != family for one in names])
        part = whole.only(~keep)
        return predict(part, fit(whole.only(keep), start, 1.0, 1e-6), 1.0) / part.ms - 1

    return _by_family(names, errors_of)


def near(chip: str, setting: Setting) -> list[tuple[str, float, float]]:
    """Transformers, which no fit has seen: name, published and estimated ms."""
    models = measured(chip, "near")
    if not models:
        return []
    found = np.array(coefficients(chip, setting, frozenset()))
    whole = problem_of(models, find_target(chip), setting.form)
    guessed = predict(whole, found, setting.form.exponent)
    return [(one.published.model, one.ms, ms) for one, ms in zip(models, guessed, strict=True)]


def print_coefficients(setting: Setting) -> None:
    """As they stand in convert/latency/coefficients.py."""
    for chip in CHIPS:
        found = coefficients(chip, setting, frozenset())
        values = ", ".join(
            f"{name}={value:.3g}" for name, value in zip(JOINED + ADDED, found, strict=True)
        )
        print(f"{chip}: Coefficients({values})")


def main() -> int:
    """Print the report, or the coefficients alone."""
    if "--quick" in sys.argv[1:]:
        print_coefficients(Setting(FORM, RIDGE))
        return 0
    everybody = sorted({family for chip in CHIPS for family in families(chip)})
    chosen = {family: choose(frozenset({family})) for family in everybody}
    best = choose()
    scores = {
        chip: Scores(
            measured(chip),
            nested(chip, chosen),
            one_out(chip, best),
            {name: plain(chip, columns) for name, columns in PLAIN.items()},
            near(chip, best),
        )
        for chip in CHIPS
    }
    report(scores)
    write_errors(scores, FOLDER / "errors.csv")
    print(f"\nchosen with everything there: {best}")
    for family, setting in chosen.items():
        print(f"  without {family:14}{setting if setting != best else 'the same'}")
    print_coefficients(best)
    return int((best.form, best.ridge) != (FORM, RIDGE))


if __name__ == "__main__":
    sys.exit(main())
