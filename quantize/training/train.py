"""A quantized model trained to give the float model's outputs, and kept where that is better."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from onnx import ModelProto

from ...core.progress import SILENT, Progress
from ...core.results.model_figures import TrainingFigure
from ...core.scratch import scratch_folder
from ...core.training.checkpoint import checkpoint_in
from ...core.training.pytorch import training_in
from ...core.training.schedule import Schedule
from ...core.training.stored_samples import store_samples
from ...core.training.training_loop import TrainingLoop
from ...core.types import SampleSet
from ..graph_parts.weighted_layers import WeightedLayer
from ..integer.equalize import as_planned
from ..rendering.plan import Plan
from ..schemes import find_scheme
from ..trials.held_out_samples import HeldOut
from ..trials.method_selection import TaskMetric, verdict_on
from .quantized_student import QuantizedStudent
from .quantized_training import QuantizedTraining

_UNTRAINED, _TRAINED = "untrained", "trained"
_INTERVAL = 50  # steps, as 96 held-out samples take as long as four of them


@dataclass(frozen=True)
class TrainedModel:
    """The better one of a quantized model and that model trained, its plan, what training did."""

    plan: Plan
    model: ModelProto
    figure: TrainingFigure


def train(
    model: ModelProto,
    plan: Plan,
    quantized: ModelProto,
    layers: Iterable[WeightedLayer],
    samples: SampleSet,
    held_out: HeldOut,
    schedule: Schedule,
    metric: TaskMetric | None = None,
    progress: Progress = SILENT,
    checkpoint: Path | None = None,
) -> TrainedModel:
    """Train what was ``quantized`` of a float ``model``, whose weights are those of the ``layers``.

    It is trained on the ``samples`` and judged on those held out, as methods are: the trained model
    is taken where it is better by more than chance. A run that is stopped goes on from the file
    ``checkpoint``, if the same model was quantized to the same. Raises ModelError, SamplesError,
    OutputError.
    """
    teacher = as_planned(model, plan)
    student = QuantizedStudent(teacher, quantized, layers, find_scheme(plan.scheme).weight_bits)
    with scratch_folder() as folder, training_in(folder):
        rows = store_samples(samples, folder / "train")
        unseen = store_samples(held_out, folder / "held-out")
        training = QuantizedTraining(student, teacher, rows, unseen, held_out, schedule.seed)
        loop = TrainingLoop(training, schedule, interval=_INTERVAL)
        loop.run(progress, checkpoint_in(checkpoint, schedule, teacher, quantized))
        trained = training.rendered()
    trials = {
        name: held_out.trial(form, metric)
        for name, form in ((_UNTRAINED, quantized), (_TRAINED, trained))
    }
    is_better = verdict_on(trials, metric).best == _TRAINED
    figure = TrainingFigure(
        kept=is_better,
        sqnr_before=trials[_UNTRAINED].sqnr_db,
        sqnr_after=trials[_TRAINED].sqnr_db,
        loss_before=loop.start.loss,
        loss_after=loop.best.loss,
        steps=loop.step,
        seconds=round(loop.elapsed, 1),
        samples=len(rows),
        held_out=len(held_out),
    )
    if not is_better:
        return TrainedModel(plan, quantized, figure)
    return TrainedModel(_with_source(plan), trained, figure)


def _with_source(plan: Plan) -> Plan:
    """Return the plan in which the weights that were rounded tell that they were trained."""
    weights = dict(plan.weights)
    for name in plan.integer_weights:
        weights[name] = replace(weights[name], source=f"{weights[name].source}, trained")
    return replace(plan, weights=weights)
