"""The tables that fit.py prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .conformal import SMALL_MS, weighted_quantile
from .joint import Array

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
    factors: dict[str, tuple[float, float]]  # by family left out: the band, and that under 5 ms

    def bands(self) -> Array:
        """Return the factor of every model's band, by errors of other families alone."""
        ms = [model.ms * (1 + error) for model, error in zip(self.models, self.nested, strict=True)]
        families = [model.published.family for model in self.models]
        return np.array(
            [self.factors[f][at < SMALL_MS] for f, at in zip(families, ms, strict=True)]
        )

    def ratios(self) -> dict[str, Array]:
        """Return the errors of the ratios of two variants, by family."""
        names = [model.published.model for model in self.models]
        families = {model.published.model: model.published.family for model in self.models}
        return ratio_errors(dict(zip(names, self.nested, strict=True)), families)


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


# Pairs that differ by one thing: the size, the head, or the activation.
VARIANTS = (
    "yolov5n yolov5s yolov5m",
    "yolov5s_relu yolov5s yolov5s-seg",
    "yolov5n yolov5n-seg",
    "yolov6n yolov6s yolov6m",
    "yolov7-tiny yolov7",
    "yolov8n yolov8s yolov8m",
    "yolov8n yolov8n-obb",
    "yolov8n yolov8n-pose",
    "yolov8n yolov8n-seg",
    "yolov8s yolov8s-seg",
    "yolov10n yolov10s",
    "yolo11n yolo11s yolo11m",
    "yolox_s yolox_m",
    "ppyoloe_s ppyoloe_m",
)


def ratio_errors(relative: Mapping[str, float], families: Mapping[str, str]) -> dict[str, Array]:
    """Return log(estimated / published) of the ratios of two variants on one chip, by family.

    ``relative`` are the errors of the models, their family left out.
    """
    ratios: dict[str, list[float]] = {}
    for chain in VARIANTS:
        for first, second in pairwise(chain.split()):
            log = np.log1p(relative[second]) - np.log1p(relative[first])
            ratios.setdefault(families[second], []).append(float(log))
    return {family: np.array(of_family) for family, of_family in ratios.items()}


def ratio_factor(by_chip: Sequence[Mapping[str, Array]]) -> float:
    """Return the factor that holds 90 % of the ratios of two variants on the chip that needs most.

    Each family counts once. All chips together would cover too few of the pairs on one of them.
    """
    widest = max(weighted_quantile([np.abs(of) for of in chip.values()]) for chip in by_chip)
    return float(np.exp(widest))


def write_errors(scores: dict[str, dict[str, Scores]], file: Path) -> None:
    """Write the estimates of every model by fits without its family or it, and its band."""
    lines = ["toolkit,chip,model,published_ms,family_left_out_ms,model_left_out_ms,band"]
    for toolkit, by_chip in scores.items():
        for chip, fit in by_chip.items():
            columns = fit.models, fit.nested, fit.one_out, fit.bands()
            for model, family, alone, band in zip(*columns, strict=True):
                times = (model.ms, model.ms * (1 + family), model.ms * (1 + alone), band)
                cells = [toolkit, chip, model.published.model, *(f"{ms:.3f}" for ms in times)]
                lines.append(",".join(cells))
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
        ratios = 100 * np.abs(np.expm1(np.concatenate(list(fit.ratios().values()))))
        print(
            f"  {f'ratio of {len(ratios)} pairs of variants':36}"
            f"{ratios.mean():7.1f}{np.median(ratios):8.1f}{ratios.max():7.0f}"
        )
        covered = np.abs(np.log1p(fit.nested)) <= np.log(fit.bands())
        print(f"  {'covered by the band of other families':36}{100 * covered.mean():7.0f}")
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
