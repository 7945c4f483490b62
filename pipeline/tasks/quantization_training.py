"""How a quantized model is trained: whether it can be, how long, and what there is to say of it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from importlib.metadata import version

from onnx import ModelProto

from ...calibration_data.samples import Samples
from ...core.diagnostics import Diagnostic, option
from ...core.errors import OptionError
from ...core.results.model_figures import TrainingFigure
from ...core.training.pytorch import has_torch, require_torch
from ...core.training.schedule import Schedule
from ...core.training.torch_graph import require_trainable
from ...quantize.schemes import find_scheme
from ..options.quantize_options import QuantizeOptions

_TRAIN = option("train", "distill")
_INSTEAD = f"leave out {_TRAIN}"
_FEW = 200  # samples: fewer are learnt by heart


def is_trained(options: QuantizeOptions) -> bool:
    """Return whether the quantized model is to be trained."""
    return options.train == "distill" and find_scheme(options.scheme).quantizes


def require_training(options: QuantizeOptions) -> None:
    """Raise OptionError for a scheme that cannot be trained, PackageError without PyTorch."""
    if is_trained(options):
        find_scheme(options.scheme).require_extra("train")
        require_torch(_TRAIN, _INSTEAD)


def torch_version(options: QuantizeOptions) -> str | None:
    """Return the version of PyTorch that trains, None where nothing is trained or can be."""
    return version("torch") if is_trained(options) and has_torch() else None


def training_schedule(
    options: QuantizeOptions, model: ModelProto, calib: Samples, seed: int
) -> Schedule | None:
    """Return how long is trained, None where nothing is. Raises ModelError, OptionError."""
    if not is_trained(options):
        return None
    if calib.batch > 1:
        raise OptionError(
            f"{_TRAIN} is not for a model with a batch of {calib.batch}",
            "export the model with a batch of 1 or a free one",
        )
    require_trainable(model, _INSTEAD)
    seconds = math.inf if options.train_time is None else options.train_time
    return Schedule(options.train_steps, seconds, seed)


def training_warnings(training: TrainingFigure | None, calib: Samples) -> Iterator[Diagnostic]:
    """Yield what there is to be warned of: few samples, and that training was of no use."""
    if training is None:
        return
    if training.samples < _FEW:
        yield Diagnostic(
            "training-few-samples",
            f"{training.samples} samples are few to train on: it may learn them by heart",
            _more_samples(calib),
        )
    if not training.kept:
        is_higher = training.sqnr_after > training.sqnr_before
        time = f", more time ({option('train-time')})" if is_higher else ""
        yield Diagnostic(
            "training-not-kept",
            "training made nothing better by more than chance on "
            f"{training.held_out} held-out samples ({training.sqnr_before:.1f} dB before, "
            f"{training.sqnr_after:.1f} after), so the weights are the untrained ones "
            f"({training.steps} steps in {training.seconds:.0f} s)",
            f"give more samples ({option('calib-count')}){time}, or {_INSTEAD}",
        )


def _more_samples(calib: Samples) -> str:
    available = len(calib.source)
    if available > len(calib):
        count = option("calib-count", available)
        return f"{len(calib)} of the {available} samples given are used: {count} takes all"
    return f"give a thousand or more with {option('calib')} and {option('calib-count')}"
