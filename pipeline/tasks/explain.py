"""What a quantized model loses, tensor by tensor, on the samples that its method was chosen by."""

from __future__ import annotations

from onnx import ModelProto

from ...calibration_data.samples import Samples
from ...core.graphs.model import load_model
from ...core.progress import Progress
from ...quantize.error_report import TensorError, error_report
from ...quantize.integer.equalize import as_planned
from ...quantize.quantize import QuantizeResult
from .held_out import held_out


def errors_of(
    model: ModelProto,
    result: QuantizeResult,
    calib: Samples,
    seed: int,
    progress: Progress,
    *,
    seconds: float = 120,
) -> tuple[TensorError, ...]:
    """Return the error of every tensor of ``result``, made of ``model``; see quantize.error_report.

    On the samples that are held out, or on all where there are too few for that. As many tensors
    are measured alone as can be in ``seconds``.
    """
    _, unseen = held_out(calib, seed)
    samples = calib if unseen is None else unseen
    quantized, plan = load_model(result.path), result.plan
    planned = as_planned(model, plan)
    return error_report(planned, quantized, plan, samples, seconds=seconds, progress=progress)
