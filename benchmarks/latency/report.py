"""The tables that fit.py prints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .regression import Array

if TYPE_CHECKING:
    from .data import Measured


@dataclass(frozen=True)
class Scores:
    """One chip's models and the relative errors of every way to estimate them."""

    models: Sequence[Measured]
    nested: Array
    one_out: Array
    plain: dict[str, Array]
    near: list[tuple[str, float, float]]


def kendall(errors: Array, ms: Array) -> float:
    """Return Kendall's tau between estimate and truth: 1 when every pair is in the right order.

    >>> kendall(np.zeros(3), np.array([1.0, 2.0, 3.0]))
    1.0
    """
    guessed = ms * (1 + errors)
    signs = [
        np.sign(guessed[i] - guessed[j]) * np.sign(ms[i] - ms[j])
        for i, j in combinations(range(len(ms)), 2)
    ]
    return float(np.mean(signs))


def by_family(scores: Scores) -> float:
    """Return the mean error in %, every family counted once, however many models it has."""
    families = np.array([model.published.family for model in scores.models])
    sizes = 100 * np.abs(scores.nested)
    return float(np.mean([sizes[families == family].mean() for family in set(families)]))


def ratio_errors(scores: Scores) -> Array:
    """Return the error of the ratio of two estimates, for every two models of one family."""
    families = [model.published.family for model in scores.models]
    pairs = combinations(range(len(families)), 2)
    ratios = [
        (1 + scores.nested[j]) / (1 + scores.nested[i])
        for i, j in pairs
        if families[i] == families[j]
    ]
    errors: Array = np.abs(np.array(ratios) - 1)
    return errors


def write_errors(scores: dict[str, Scores], file: Path) -> None:
    """Write the estimates of every model by fits without its family and without it."""
    lines = ["chip,model,published_ms,family_left_out_ms,model_left_out_ms"]
    for chip, fit in scores.items():
        for model, family, alone in zip(fit.models, fit.nested, fit.one_out, strict=True):
            times = (model.ms, model.ms * (1 + family), model.ms * (1 + alone))
            lines.append(",".join([chip, model.published.model, *(f"{ms:.3f}" for ms in times)]))
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


def report(scores: dict[str, Scores]) -> None:
    """Print every chip's summary, then every model."""
    for chip, fit in scores.items():
        ms = np.array([model.ms for model in fit.models])
        families = len({model.published.family for model in fit.models})
        print(f"\n{chip}: {len(ms)} models, {families} families")
        print(f"  {'relative error in %':36}{'mean':>7}{'median':>8}{'worst':>7}{'tau':>7}")
        ways = {
            "estimate, families left out": fit.nested,
            "estimate, one left out": fit.one_out,
        }
        for name, errors in {**ways, **fit.plain}.items():
            sizes = 100 * np.abs(errors)
            tau = kendall(errors, ms)
            print(
                f"  {name:36}{sizes.mean():7.1f}{np.median(sizes):8.1f}{sizes.max():7.0f}{tau:7.2f}"
            )
        print(f"  {'each family counted once':36}{by_family(fit):7.1f}")
        ratios = 100 * ratio_errors(fit)
        print(
            f"  {f'ratio of {len(ratios)} pairs of one family':36}"
            f"{ratios.mean():7.1f}{np.median(ratios):8.1f}{ratios.max():7.0f}"
        )
    _models(scores)
    for chip, fit in scores.items():
        for name, ms_one, guessed in fit.near:
            print(f"{chip} {name:30}{ms_one:8.2f} ms published, {guessed:8.2f} estimated")


def _models(scores: dict[str, Scores]) -> None:
    print(f"\n{'published ms, error in % (family left out)':44}", *(f"{c:>15}" for c in scores))
    rows: dict[str, dict[str, str]] = {}
    for chip, fit in scores.items():
        for model, error in zip(fit.models, fit.nested, strict=True):
            cell = f"{model.ms:8.2f} {100 * error:+4.0f} %"
            rows.setdefault(model.published.model, {})[chip] = cell
    for name, cells in rows.items():
        print(f"{name:44}", *(f"{cells.get(chip, '-'):>15}" for chip in scores))
