"""What can be known to be impossible before anything runs."""

from __future__ import annotations

from collections.abc import Sequence

from ..accuracy.gates import require_limits
from ..accuracy.metrics.metric_table import find_metric
from ..calibration_data.sources.open_source import open_source
from ..convert.chips.targets import Target, require_dtype
from ..convert.latency.coefficients import is_fitted
from ..convert.toolkit.own_settings import require_free_settings
from ..core.diagnostics import option
from ..core.errors import OptionError
from ..core.graphs.model import require_model_file
from ..core.results.model_figures import LatencyScale
from ..quantize.schemes import find_scheme
from .recipes.recipe import Recipe, only_target, targets_of
from .tasks.hybrid_mixing import without_hybrid_mixing
from .tasks.pruning_options import (
    budget_of,
    distils,
    prunes,
    require_cost,
    require_pruning,
    require_sparsity,
)
from .tasks.quantization_training import is_trained, require_training


def require_samples(recipe: Recipe) -> None:
    """Raise OptionError when a stage needs samples that were not given."""
    is_pruned = prunes(recipe.prune)
    if recipe.samples.calib is None and (is_pruned or recipe.quantizes):
        stage = "pruning" if is_pruned else "quantization"
        raise OptionError(
            f"{stage} needs calibration samples",
            f"give some with {option('calib')}, or use {option('scheme', 'float16')} and no "
            f"{option('prune')}",
        )
    require_comparison(recipe)


def require_readable(recipe: Recipe) -> None:
    """Open the samples that are given. Raises SamplesError."""
    samples = recipe.samples
    if samples.calib is not None:
        open_source(samples.calib)
    if samples.eval is not None:
        need_none = samples.calib is not None and recipe.gates.min_retention is None
        other = f", or leave out {option('eval')} where there are no labels"
        open_source(samples.eval, f"check the path{other if need_none else ''}")


def require_comparison(recipe: Recipe) -> None:
    """Raise OptionError when the result cannot be compared as the gates ask for."""
    samples, limit = recipe.samples, recipe.gates.min_retention
    if samples.eval is None and samples.calib is None:
        raise OptionError(
            "there are no samples to compare the result with the baseline on",
            f"give labelled samples with {option('eval')}, or any with {option('calib')}",
        )
    if samples.eval is None and limit is not None:
        raise OptionError(
            f"{option('min-retention', limit)} cannot be checked without labelled samples",
            f"give labelled samples with {option('eval')}",
        )


def require_measurable(recipe: Recipe) -> None:
    """Raise OptionError for a metric that is not known and for gates that cannot be checked."""
    require_comparison(recipe)
    find_metric(recipe.metric.metric, recipe.metric.metric_option)
    gates = recipe.gates
    require_limits(gates.min_retention, gates.max_latency_ms, gates.max_size_mb)


def pruning_target(recipe: Recipe) -> Target:
    """Return the target of prune. Raises OptionError or PackageError when that cannot be done."""
    require_pruning(recipe.prune)
    target = only_target(recipe, "prune")
    if recipe.is_explicit("scheme"):
        require_dtype(target, recipe.quantize.scheme)
    if (budget := budget_of(recipe.prune)) is not None:
        require_cost(budget, target)
    _require_recovering(recipe)
    require_sparsity(recipe.prune, recipe.quantize.scheme, target)
    return target


def _require_recovering(recipe: Recipe) -> None:
    if distils(recipe.prune):
        from ..prune.distillation.distil import (
            require_recovering,  # for others there is no need of it
        )

        require_recovering()


def trains(recipe: Recipe) -> bool:
    """Return whether a run of a recipe trains, for which it takes PyTorch."""
    return distils(recipe.prune) or is_trained(recipe.quantize)


def require_packages(recipe: Recipe) -> None:
    """Raise PackageError where a run of a recipe takes a package that is not installed."""
    _require_recovering(recipe)
    require_training(recipe.quantize)


def require_possible(recipe: Recipe, *, runs_here: bool = True) -> list[Target]:
    """Return the targets. Raises OptionError when one cannot have what the recipe asks for.

    And PackageError where a package is not installed, if it ``runs_here``.
    """
    require_model_file(recipe.model)
    targets, scheme = targets_of(recipe), recipe.quantize.scheme
    find_metric(recipe.metric.metric, recipe.metric.metric_option)
    require_samples(recipe)
    if (budget := budget_of(recipe.prune)) is not None:
        require_pruning(recipe.prune)
        for target in targets:
            require_cost(budget, target)
    if is_trained(recipe.quantize):
        find_scheme(scheme).require_extra("train")
    if runs_here:
        require_packages(recipe)
    require_measurable(recipe)
    require_one_board(recipe, targets)
    require_free_settings(recipe.toolkit.toolkit_config)
    for target in targets:
        float16 = f"use {option('scheme', 'float16')}"
        instead = float16 if scheme == "w8a8" else f"leave out {option('scheme')}"
        require_dtype(target, scheme, instead)
        require_sparsity(recipe.prune, scheme, target)
        without_hybrid_mixing(recipe, target)
        # else it is asked once these are read, or a board says it
        if not recipe.latency.measured and not recipe.board.board:
            require_latency(target, recipe.gates.max_latency_ms)
    if find_scheme(scheme).quantizes:
        find_scheme(scheme).methods_for(recipe.quantize.method, is_trial=False)
    require_readable(recipe)  # last, as it reads files
    return targets


def require_one_board(recipe: Recipe, targets: Sequence[Target]) -> None:
    """Raise OptionError for a board, which has one chip, and several targets."""
    if recipe.board.board is None:
        return
    if len(targets) > 1:
        raise OptionError(
            f"{option('board')} is one board with one chip, and {option('target')} names "
            f"{', '.join(target.name for target in targets)}",
            f"give the {option('target')} of the board, and check the others by themselves",
        )


def require_latency(target: Target, limit: float | None, scale: LatencyScale | None = None) -> None:
    """Raise OptionError for a latency limit on a chip that has cycles but no milliseconds."""
    if limit is not None and not is_fitted(target) and scale is None:
        raise OptionError(
            f"{option('max-latency-ms', limit)} cannot be checked: there is no latency in "
            "milliseconds "
            f"for {target.name}, only cycles",
            f"measure it with {option('board')}, give what a model takes on your board with "
            f"{option('measured')}, or leave it out for this chip",
        )
