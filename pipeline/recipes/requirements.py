"""What can be known to be impossible before anything runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...accuracy.gates import require_limits
from ...accuracy.metrics.metric_table import find_metric
from ...convert.chips.targets import Target, find_target
from ...convert.toolkit.environment import runs, toolkit_version
from ...core.diagnostics import option
from ...core.errors import OptionError, ToolkitError
from ...core.graphs.model import require_model_file
from ...prune.distillation.distil import require_torch
from ..stages.pruning import budget_of, cost_of, require_pruning
from ..stages.quantizing import mixed_precision
from ..stages.two_four import require_sparse
from .recipe import Recipe


def require_measurable(recipe: Recipe) -> None:
    """Raise OptionError for a metric that is not known and for gates that cannot be checked."""
    recipe.require_comparison()
    find_metric(recipe.metric, recipe.metric_options)
    gates = recipe.gates
    require_limits(gates.min_retention, gates.max_latency_ms, gates.max_size_mb)


def targets_of(recipe: Recipe) -> list[Target]:
    """The targets in their order, each once. Raises RockpressError when one is not known."""
    return list(dict.fromkeys(find_target(name) for name in recipe.targets))


def only_target(recipe: Recipe, what: str) -> Target:
    """The one target of a command that makes one file. Raises OptionError when there are more."""
    targets = targets_of(recipe)
    if len(targets) > 1:
        raise OptionError(
            f"{what} makes one model, for one chip; {option('target')} names "
            f"{', '.join(one.name for one in targets)}",
            f"give one {option('target')}, or use rockpress run, which makes a model for each",
        )
    return targets[0]


def pruning_target(recipe: Recipe) -> Target:
    """The one target of prune. Raises OptionError or PackageError when it cannot be pruned so."""
    require_pruning(recipe)
    target = only_target(recipe, "prune")
    if recipe.recover == "distill":
        require_torch()
    require_sparse(recipe, target)
    return target


def require_possible(recipe: Recipe) -> list[Target]:
    """The targets, each once. Raises OptionError when one cannot have what the recipe asks for."""
    require_model_file(recipe.model)
    recipe.require_samples()
    targets = targets_of(recipe)
    if (budget := budget_of(recipe)) is not None:
        require_pruning(recipe)
        for target in targets:
            cost_of(budget, target, "int8")
        if recipe.recover == "distill":
            require_torch()
    require_measurable(recipe)
    for target in targets:
        _require_format(target, recipe.quantize)
        require_sparse(recipe, target)
        mixed_precision(recipe, target)
        require_latency(target, recipe.gates.max_latency_ms)
    return targets


def _require_format(target: Target, scheme: str) -> None:
    if scheme not in target.dtypes:
        instead = {"w8a8": f"use {option('scheme', 'float16')}"}.get(
            scheme, f"leave out {option('scheme')}"
        )
        raise OptionError(
            f"{target.name} has no {scheme}", f"it has: {', '.join(target.dtypes)}; {instead}"
        )


def require_latency(target: Target, limit: float | None) -> None:
    """Raise OptionError for a latency limit on a chip that has cycles but no milliseconds."""
    if limit is not None and target.latency is None:
        raise OptionError(
            f"{option('max-latency-ms', limit)} cannot be checked: there is no latency in "
            "milliseconds "
            f"for {target.name}, only cycles",
            "leave it out for this chip, and measure the .rknn on a board",
        )


def require_toolkit(python: Path | None) -> str:
    """The toolkit's version. Raises ToolkitError when it is not installed."""
    if python is not None and not runs(python):
        raise ToolkitError(
            f"{option('toolkit-python', str(python))} is no Python that runs",
            "give the path of an environment's Python, such as env/bin/python",
        )
    version = toolkit_version(python)
    if version is None and python is not None:
        raise ToolkitError(
            f"rknn-toolkit2 is not installed for {option('toolkit-python', str(python))}",
            f"rockpress doctor with {option('toolkit-python', str(python))} says what is missing",
        )
    if version is None:
        raise ToolkitError(
            "rknn-toolkit2 is not installed here, so nothing can be converted",
            f"see rockpress doctor, or name another environment with {option('toolkit-python')}",
        )
    return version


def require_output(output: Path, suffix: str, inputs: Sequence[Path]) -> None:
    """Raise OptionError when a file to write has another suffix, or is one that is read."""
    if output.suffix.lower() != suffix or output.is_dir():
        what = "is a folder" if output.is_dir() else f"does not end in {suffix}"
        raise OptionError(
            f"{option('output', str(output))}: the file to write {what}",
            f"such as {option('output', f'model{suffix}')}",
        )
    require_unread(output, inputs)


def require_unread(output: Path, inputs: Sequence[Path]) -> None:
    """Raise OptionError when a file to write is one that is read."""
    for one in inputs:
        if output.exists() and one.exists() and output.samefile(one):
            raise OptionError(
                f"{output}: to write it would replace the model that is read",
                "give another name with -o",
            )
