"""How a recipe's model is pruned: budget, target, method, and what is held out to judge by."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from onnx import ModelProto, NodeProto

from ...accuracy.compare import Comparison
from ...accuracy.metrics.metric_table import BoundMetric
from ...calibration_data.samples import Samples
from ...convert.chips.cycles import layer_cycles
from ...convert.chips.sparse_layers import sparse_axes
from ...convert.chips.targets import Target
from ...convert.latency.estimate import layer_ms
from ...core.diagnostics import Diagnostic, option
from ...core.graphs.graph import Graph
from ...core.graphs.layers import macs_of
from ...core.graphs.model import load_model, parameter_count, save_model
from ...core.graphs.sparsity import Axis
from ...core.progress import Progress
from ...core.results.pruning_figures import Sparsity, UnseenFigure
from ...core.scratch import scratch_folder
from ...core.session import Session
from ...core.types import Array, Feeds
from ...prune.channels.layer_selection import require_prunable
from ...prune.prune import PruneMethod, Pruner
from ...prune.repair.refit import Teacher
from ...prune.repair.ridge_choice import HELD_OUT_EVERY, LEAST_HELD_OUT
from ...prune.results.budget import Budget, macs_cost, size_cost
from ...prune.results.prune_result import PruneResult
from ...prune.rounds import default_rounds, prune_in_rounds
from ...prune.search.costs import CostFunction
from ...prune.search.divergence import JUDGING, SampleSplit, likeness
from ...prune.sparse.sparsify import SparseMethod, sparsify
from ...prune.sparse.sparsify import require_layers as require_sparsifiable
from ...quantize.schemes import find_scheme
from ..options.check_options import MetricOptions
from ..options.prune_options import PruneOptions
from ..recipes.recipe import Recipe
from ..samples.bound_metric import bound_metric
from ..samples.task_metric import judge_for
from .distilling import require_distilling, split_for_pruning
from .first_look import first_look, look_at
from .predicted_time import predicted_ms
from .pruning_options import budget_of, require_cost, require_pruning

# channels at which multiply-accumulates and size change visibly; the chips' steps do not matter
_FINE_STEP = 8
_LOOK_SAMPLES = 64
_FEW = HELD_OUT_EVERY * LEAST_HELD_OUT  # with fewer no layer chooses how closely it is fitted


def cost_of(budget: Budget, target: Target, dtype: str) -> CostFunction:
    """Return the cost of a layer for a budget, with the number of channels at which it changes.

    Raises OptionError for a latency on a chip that has cycles only.
    """
    require_cost(budget, target)
    if budget.kind == "macs":
        return CostFunction(macs_cost, _FINE_STEP)
    if budget.kind == "size":
        return CostFunction(size_cost, _FINE_STEP)
    if budget.kind == "latency":
        return CostFunction(
            lambda layer: layer_ms(layer, target, dtype),
            target.cout_step,
            predicted_ms(target, dtype),
        )
    return CostFunction(lambda layer: layer_cycles(layer, target, dtype), target.cout_step)


def require_layers(options: PruneOptions, model: ModelProto) -> None:
    """Raise now, before minutes are spent, what pruning would raise for the model's layers.

    ModelError when it has none to prune, OptionError for a glob of ``keep`` or ``only`` that names
    none.
    """
    if budget_of(options) is not None:
        require_prunable(model, options.keep, options.only)
    if options.sparsity is not None:
        require_sparsifiable(Graph(model), (*options.keep, *options.only))


@dataclass(frozen=True)
class PruneTask:
    """What pruning is given: it decides the result. ``metric`` is None where nothing is judged.

    ``logits`` are the outputs that the whole model reads by a Sigmoid alone, and the host does now.
    """

    model: ModelProto
    calib: Samples
    options: PruneOptions
    scheme: str
    target: Target
    seed: int
    metric: MetricOptions | None
    share: float | None = None  # of the budget's kind, where it is not the budget's own
    logits: tuple[str, ...] = ()


def prune_task(
    model: ModelProto,
    calib: Samples,
    recipe: Recipe,
    target: Target,
    logits: tuple[str, ...] = (),
) -> PruneTask:
    """Return what a recipe asks of pruning for a target, see PruneTask for ``logits``.

    Where the chip lacks the recipe's number format, which prune alone does not ask for, costs are
    those in the first that it has: in float16 on a chip without int8.
    """
    options = recipe.prune
    metric = None if options.max_drop is None else recipe.metric
    scheme = recipe.quantize.scheme
    if scheme not in target.dtypes:
        scheme = target.dtypes[0]
    seed = recipe.run.seed
    return PruneTask(model, calib, options, scheme, target, seed, metric, logits=logits)


class Pruning:
    """A model pruned for one target, scored once and cut as often as it takes."""

    def __init__(self, task: PruneTask, progress: Progress) -> None:
        require_pruning(task.options)
        self.budget = budget_of(task.options)
        self._task = task
        self._progress = progress
        require_distilling(task.options, task.model)
        self._calib, self._held_out = split_for_pruning(task.calib, task.options, task.seed)
        self._pruner = None if self.budget is None else self._scored(self.budget, task.model)

    def _scored(
        self,
        budget: Budget,
        model: ModelProto,
        teacher: Teacher | None = None,
        twin: ModelProto | None = None,
    ) -> Pruner:
        task, options = self._task, self._task.options
        dtype = find_scheme(task.scheme).layer_dtype
        return Pruner(
            model,
            self._calib,
            cost=cost_of(budget, task.target, dtype),
            method=PruneMethod(
                criterion=options.criterion,
                # distillation starts from the closed form, see distilling.py
                recover="none" if options.recover == "none" else "least-squares",
                keep=options.keep,
                only=options.only,
                seed=task.seed,
            ),
            progress=self._progress,
            teacher=teacher,
            twin=twin,
            logits=task.logits,
        )

    def write(self, output: Path, share: float | None = None) -> tuple[PruneResult, Comparison]:
        """Write the pruned model: to the budget, or another ``share`` of the same kind.

        It is 2:4 sparse where that is asked for: what its layers are to give is what they gave with
        the channels cut. How close it stays is measured on samples that are held out, of a model
        repaired without them; where there are too few, on those that it was repaired with.
        """
        with scratch_folder() as work:
            twin = work / "twin.onnx"
            result = self._cut(output, share, None if self._held_out else twin)
            if self._task.options.sparsity is not None:
                result = replace(result, sparsity=self._sparsified(output, twin))
            return self.looked_at(result, twin if twin.exists() else output)

    def looked_at(self, result: PruneResult, twin: Path) -> tuple[PruneResult, Comparison]:
        """Return a result with how close its ``twin`` stays on held-out samples, and that whole."""
        model, held_out = self._task.model, self._unseen()
        if not held_out:
            return result, first_look(model, result.path, self._task.calib, self._task.seed)
        comparison = look_at(model, twin, held_out, self._calib.batch)
        figure = UnseenFigure(comparison.samples, comparison.sqnr_db, comparison.agreement)
        return replace(result, unseen=figure), comparison

    def _unseen(self) -> list[Feeds]:
        """Return the samples that the twin is not repaired with, or that nothing is pruned by."""
        if self._held_out is not None:
            return list(self._held_out.take(_LOOK_SAMPLES, self._task.seed).grouped())
        return list(SampleSplit(self._calib, JUDGING, alone=True))

    def _sparsified(self, output: Path, twin: Path) -> Sparsity:
        """Make a pruned model sparse, and its twin, if any, of which the likeness is."""
        task, options = self._task, self._task.options

        def axes(node: NodeProto, weight: Array) -> tuple[Axis, ...]:
            return sparse_axes(task.target, task.scheme, node, weight)

        method = SparseMethod(options.criterion, options.recover, options.keep, options.only)
        files: list[tuple[Path, Iterable[Feeds]]] = [(output, self._calib)]
        if twin.exists():
            files.append((twin, SampleSplit(self._calib, JUDGING)))
        sparsities = []
        for path, samples in files:
            sparse, sparsity = sparsify(
                load_model(path),
                samples,
                axes=axes,
                method=method,
                judged_on=self._unseen() or None,
                seed=task.seed,
                progress=self._progress,
            )
            save_model(sparse, path)
            sparsities.append(sparsity)
        return replace(sparsities[0], likeness=sparsities[-1].likeness)

    def _cut(self, output: Path, share: float | None, twin: Path | None) -> PruneResult:
        task, options = self._task, self._task.options
        if self._pruner is None or self.budget is None:  # all channels stay
            for path in (output, twin if self._unseen() else None):
                if path is not None:
                    save_model(task.model, path)
            macs, parameters = macs_of(task.model), parameter_count(task.model)
            return PruneResult(
                output, None, 0.0, 0.0, macs, macs, parameters, parameters, (), (), {}
            )
        if options.max_drop is None or self._held_out is None or task.metric is None:
            budget = self.budget if share is None else Budget(self.budget.kind, share)
            rounds = options.rounds or default_rounds(budget)
            again = partial(self._scored, budget)
            return prune_in_rounds(self._pruner, again, budget, rounds, output, twin)
        scoring = bound_metric(task.metric, task.model, self._held_out)
        judge = retention_on(task.model, self._held_out, scoring)
        return self._pruner.prune_within(options.max_drop, judge, self.budget, output)


def pruning_warnings(calib: Samples) -> list[Diagnostic]:
    """Return the warning that there are few samples to repair by, where there are."""
    if len(calib) >= _FEW:
        return []
    return [
        Diagnostic(
            "pruning-few-samples",
            f"{len(calib)} calibration samples are few to prune by: layers learn them by heart",
            f"give a hundred or more with {option('calib')} and {option('calib-count')}",
        )
    ]


def retention_on(
    model: ModelProto, held_out: Samples, scoring: BoundMetric
) -> Callable[[ModelProto], float]:
    """Return a function that says what is left of a model on held-out samples: a ratio.

    The metric where they have labels that fit, else the agreement of the first classes, else the
    cosine of the outputs.
    """
    measure, _ = judge_for(model, held_out, scoring)
    reference = _outputs(model, held_out)
    if measure is None:
        return lambda other: likeness(_joined(reference), _joined(_outputs(other, held_out)))[1]

    def score(rows: list[list[Array]]) -> float:
        return float(np.mean([measure.score(index, row) for index, row in enumerate(rows)]))

    whole = score(reference)

    def retention(other: ModelProto) -> float:
        value = score(_outputs(other, held_out))
        part, reference = (whole, value) if measure.lower_is_better else (value, whole)
        return part / reference if reference else 1.0

    return retention


def _outputs(model: ModelProto, samples: Samples) -> list[list[Array]]:
    session = Session(model)
    return [session.run(feeds) for feeds in samples]


def _joined(rows: list[list[Array]]) -> list[Array]:
    return [np.concatenate(parts) for parts in zip(*rows, strict=True)]
