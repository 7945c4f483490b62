"""Distillation: a pruned model is trained to give the original's outputs, on unlabelled samples.

The teacher is the original model, the student the pruned one, and the loss is the distance of their
outputs (core/training). Calibration sets are small, so every sample is blended with another one,
in a new way at each step, and the teacher gives the target for the blend (Zhang et
al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018, arXiv:1710.09412, with the teacher in
place of mixed labels as in Beyer et al., "Knowledge distillation: A good teacher is patient and
consistent", CVPR 2022, arXiv:2106.05237). Both are run in torch as the ONNX graphs that they are
(torch_graph.py), so the trained weights go back to the initializers that they came from.
"""

from __future__ import annotations

from pathlib import Path

import onnx
from onnx import ModelProto

from ...core.diagnostics import option
from ...core.graphs.model import save_model
from ...core.progress import SILENT, Progress
from ...core.results.pruning_figures import Distillation
from ...core.scratch import scratch_folder
from ...core.training.checkpoint import checkpoint_in
from ...core.training.pytorch import require_torch, training_in
from ...core.training.schedule import Schedule
from ...core.training.stored_samples import TrainingSamples, outputs_of, store_samples
from ...core.training.torch_graph import require_trainable, with_weights
from ...core.training.training_loop import TrainingLoop
from ..search.divergence import divergence, likeness
from .distil_training import CLIP, RATE, PrunedTraining

_LEAST_SQUARES = option("recover", "least-squares")


def require_recovering() -> None:
    """Raise PackageError when PyTorch is not installed."""
    require_torch(option("recover", "distill"), _LEAST_SQUARES)


def require_distillable(model: ModelProto) -> None:
    """Raise PackageError without PyTorch, ModelError for operators that it cannot go through."""
    require_recovering()
    require_trainable(model, f"recover by least squares instead ({_LEAST_SQUARES})")


def distil(
    student: Path,
    teacher: Path,
    samples: TrainingSamples,
    output: Path,
    schedule: Schedule | None = None,
    *,
    checkpoint: Path | None = None,
    progress: Progress = SILENT,
) -> Distillation:
    """Train the weights of ``student`` to give the outputs of ``teacher``, and write ``output``.

    Both are prepared models with the same inputs, outputs and names. ``output`` is the student,
    node for node, with its new weights, or with its own when these are no better on the samples
    that are held out.
    A run that is stopped goes on from ``checkpoint``, a file that is gone when all is done. Raises
    PackageError, ModelError, SamplesError, OutputError.
    """
    original, small = onnx.load_model(str(teacher)), onnx.load_model(str(student))
    require_distillable(original)
    schedule = schedule or Schedule()
    with scratch_folder() as folder, training_in(folder):
        rows = store_samples(samples.train, folder / "train")
        held_out = store_samples(samples.held_out, folder / "held-out")
        training = PrunedTraining(small, original, rows, held_out, schedule.seed)
        loop = TrainingLoop(training, schedule, rate=RATE, clip=CLIP)
        loop.run(progress, checkpoint_in(checkpoint, schedule, original, small))
        trained = with_weights(small, training.weights())
        # judged as they will be run: not by torch
        models = original, small, trained
        reference, old, new = (outputs_of(model, held_out) for model in models)
    before, after = divergence(reference, old), divergence(reference, new)
    measure, likeness_before = likeness(reference, old)
    is_better = after < before
    save_model(trained if is_better else small, output)
    if checkpoint is not None:
        checkpoint.unlink(missing_ok=True)
    return Distillation(
        kept=is_better,
        measure=measure,
        divergence_before=before,
        divergence_after=after,
        likeness_before=likeness_before,
        likeness_after=likeness(reference, new)[1],
        steps=loop.step,
        seconds=round(loop.elapsed, 1),
        samples=len(rows),
        held_out=len(held_out),
    )
