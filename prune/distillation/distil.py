"""Distillation: a pruned model is trained to give what the original gives, on unlabelled samples.

The teacher is the original model, the student the pruned one, and what is minimised is how far
their outputs are apart (distil_loss.py). Calibration sets are small, so every sample is blended
with another one, in a new way at each step, and the teacher says what that should give (Zhang et
al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018, arXiv:1710.09412, with the teacher in
place of mixed labels as in Beyer et al., "Knowledge distillation: A good teacher is patient and
consistent", CVPR 2022, arXiv:2106.05237). Both are run in torch as the ONNX graphs that they are
(torch_graph.py), so the trained weights go back to the initializers that they came from.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto, numpy_helper

from ...core.diagnostics import option
from ...core.errors import PackageError
from ...core.graphs.model import save_model
from ...core.scratch import scratch_folder
from ...core.types import Array
from ..results.prune_result import Distillation
from ..search.divergence import divergence, likeness
from .distil_data import Sized, outputs_of, stored
from .distil_training import Schedule, Training
from .torch_graph import require_known


def require_torch() -> None:
    """Raise PackageError when PyTorch is not installed; does not import it."""
    if find_spec("torch") is None:
        raise PackageError(
            f"{option('recover', 'distill')} needs PyTorch, which is not installed here",
            "pip install torch (any build, CPU is enough), or "
            f"{option('recover', 'least-squares')}",
        )


def require_distillable(model: ModelProto) -> None:
    """Raise PackageError without PyTorch, ModelError for operators that it cannot go through."""
    require_torch()
    require_known(model)


def distil(
    student: Path,
    teacher: Path,
    samples: Sized,
    held_out: Sized,
    output: Path,
    plan: Schedule | None = None,
    *,
    checkpoint: Path | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Distillation:
    """Train the weights of ``student`` to give what ``teacher`` gives, and write ``output``.

    Both are prepared models with the same inputs, outputs and names. ``output`` is the student,
    node for node, with its new weights, or with its own when these are not better on ``held_out``.
    A run that is stopped goes on from ``checkpoint``, a file that is gone when all is done. Raises
    PackageError, ModelError, SamplesError, OutputError.
    """
    original, small = onnx.load_model(str(teacher)), onnx.load_model(str(student))
    require_distillable(original)
    with scratch_folder() as folder:
        rows, apart = stored(samples, folder / "train"), stored(held_out, folder / "held-out")
        training = Training(small, original, rows, apart, plan or Schedule())
        training.run(checkpoint, on_progress)
        trained = with_weights(small, training.best)
        # judged as they will be run: not by torch
        reference, *found = (outputs_of(one, apart) for one in (original, small, trained))
    before, after = (divergence(reference, one) for one in found)
    measure, alike = likeness(reference, found[0])
    kept = after < before
    save_model(trained if kept else small, output)
    if checkpoint is not None:
        checkpoint.unlink(missing_ok=True)
    return Distillation(
        kept=kept,
        measure=measure,
        divergence_before=before,
        divergence_after=after,
        likeness_before=alike,
        likeness_after=likeness(reference, found[1])[1],
        steps=training.step,
        seconds=round(training.elapsed, 1),
        samples=len(rows),
        held_out=len(apart),
    )


def with_weights(model: ModelProto, weights: dict[str, Array]) -> ModelProto:
    """A copy with other values in some initializers; everything else is as it was."""
    changed = ModelProto()
    changed.CopyFrom(model)
    for tensor in changed.graph.initializer:
        if tensor.name in weights:
            value = np.ascontiguousarray(weights[tensor.name], dtype=np.float32)
            tensor.CopyFrom(numpy_helper.from_array(value, tensor.name))
    return changed
