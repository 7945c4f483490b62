"""Prune a model to a budget, without labels and without training."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from onnx import ModelProto

from ..core.dense import dense_layers, with_biases
from ..core.errors import ModelError, OptionError, SamplesError
from ..core.graph import Array, Graph
from ..core.layers import LayerShape, macs_of
from ..core.model import parameter_count, save_model
from .allocate import Cost, CostModel, Widths, allocate, removed_mask
from .candidates import Candidate, Feeds, candidates_of, layer_moments
from .dependency import Dependency, build_dependency
from .groups import find_groups
from .repair import Cut, refit
from .surgery import remove_channels
from .trials import kept_of

BUDGET_KINDS = ("cycles", "macs", "size")
_EXAMPLE = "for example cycles=-30%"
RECOVERIES = ("least-squares", "none")

# the error of a width is measured on so many samples: it only has to rank the moves
_RANKING_SAMPLES = 64


@dataclass(frozen=True)
class Budget:
    """How much to save: ``share`` of the unpruned model's cost in ``kind`` (cycles, macs, size)."""

    kind: str
    share: float


@dataclass(frozen=True)
class PrunedGroup:
    """One group of channels before and after, and the output error measured for that width."""

    name: str
    before: int
    after: int
    error: float


@dataclass(frozen=True)
class PruneResult:
    """What pruning did. ``cost_*`` are in the unit of the budget, by the cost function given.

    ``frozen`` maps operator type -> number of nodes around which nothing could be removed.
    """

    path: Path
    budget: Budget
    cost_before: float
    cost_after: float
    macs_before: int
    macs_after: int
    parameters_before: int
    parameters_after: int
    groups: tuple[PrunedGroup, ...]
    frozen: dict[str, int]


Observer = Callable[[str, int, int], None]


def parse_budget(text: str) -> Budget:
    """Read a budget as it is written on the command line.

    >>> parse_budget("cycles=-30%")
    Budget(kind='cycles', share=0.3)
    """
    match = re.fullmatch(r"([a-z]+)=-(\d+(?:\.\d+)?)%", text.strip())
    if not match or match[1] not in BUDGET_KINDS:
        raise OptionError(
            f"the budget {text!r} is not of the form KIND=-N% with KIND one of "
            f"{', '.join(BUDGET_KINDS)}",
            _EXAMPLE,
        )
    share = float(match[2]) / 100
    if not 0 < share < 1:
        raise OptionError(f"the budget {text!r} must lie between 0 % and 100 %", _EXAMPLE)
    return Budget(match[1], share)


def macs_cost(layers: Sequence[LayerShape]) -> float:
    """Multiply-accumulates of all layers."""
    return float(sum(layer.macs for layer in layers))


def size_cost(layers: Sequence[LayerShape]) -> float:
    """Weights of all layers, which is what the size of a file follows."""
    return float(
        sum(
            layer.kernel_h * layer.kernel_w * layer.cout * (layer.cin // layer.groups)
            for layer in layers
        )
    )


def prune(
    model: ModelProto,
    output: Path,
    samples: Iterable[Feeds],
    budget: Budget,
    *,
    cost: Cost,
    step: int = 32,
    recover: str = "least-squares",
    seed: int = 0,
    on_progress: Observer = lambda what, done, total: None,
) -> PruneResult:
    """Remove channels from a prepared model until ``cost`` has fallen by the budget's share.

    ``samples`` yields unlabelled calibration inputs (input name -> array, batch 1), as often as it
    is iterated over; ``cost`` gives
    the cost of a list of layers, and ``step`` the number of channels at which it changes. Writes
    the smaller model to ``output``. Raises ModelError when the model has no channels that could
    be removed, OptionError when the budget is out of reach.
    """
    if recover not in RECOVERIES:
        raise OptionError(f"unknown recovery {recover!r}", f"one of: {', '.join(RECOVERIES)}")
    model = with_biases(model)
    dependency = build_dependency(Graph(model))
    candidates = _candidates(dependency, samples, step, recover, seed, on_progress)
    costs = CostModel(dependency, cost)
    before = costs.of(dependency.nothing_removed())
    widths = allocate(candidates, costs, before * (1 - budget.share))
    by_name = {candidate.group.name: candidate for candidate in candidates}
    removed = removed_mask(dependency, by_name, widths)
    small = remove_channels(dependency, removed)
    if recover == "least-squares":
        cuts = cuts_of(dependency, removed)
        report = _named(on_progress, "refit layers")
        small = refit(model, small, cuts, samples, seed=seed, on_progress=report)
    save_model(small, output)
    return PruneResult(
        path=output,
        budget=budget,
        cost_before=before,
        cost_after=costs.of(removed),
        macs_before=macs_of(model),
        macs_after=macs_of(small),
        parameters_before=parameter_count(model),
        parameters_after=parameter_count(small),
        groups=_report(candidates, widths),
        frozen=dependency.unknown,
    )


def cuts_of(dependency: Dependency, removed: Array) -> dict[str, Cut]:
    """Weight name of every dense layer -> which rows and columns of its matrix are left."""
    layers = dense_layers(dependency.graph)
    return {layer.weight: Cut(*kept_of(dependency, layer, removed)) for layer in layers}


def _candidates(
    dependency: Dependency,
    samples: Iterable[Feeds],
    step: int,
    recover: str,
    seed: int,
    on_progress: Observer,
) -> list[Candidate]:
    groups = find_groups(dependency)
    if not groups:
        stops = ", ".join(dependency.unknown) or "its inputs and outputs"
        raise ModelError(
            f"no channels of this model can be removed: all are held by {stops}",
            "run without pruning (--prune off)",
        )
    on_progress("statistics", 0, 1)
    statistics = layer_moments(dependency.graph.model, samples, seed)
    few = list(islice(samples, _RANKING_SAMPLES))
    if not few:
        raise SamplesError(
            "the samples can be read only once, but pruning reads them again for every layer",
            "give a list, or an object that starts again whenever it is iterated over",
        )
    return candidates_of(
        dependency,
        groups,
        statistics,
        few,
        step=step,
        recover=recover == "least-squares",
        on_progress=_named(on_progress, "measure groups"),
    )


def _named(on_progress: Observer, what: str) -> Callable[[int, int], None]:
    return lambda done, total: on_progress(what, done, total)


def _report(candidates: Sequence[Candidate], widths: Widths) -> tuple[PrunedGroup, ...]:
    return tuple(
        PrunedGroup(
            candidate.group.name,
            candidate.group.size,
            widths.get(candidate.group.name, candidate.group.size),
            candidate.errors.get(widths.get(candidate.group.name, -1), 0.0),
        )
        for candidate in candidates
    )
