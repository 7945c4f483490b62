"""Latency in words: the kind of each figure, its band, and what it was scaled by."""

from __future__ import annotations

from ...core.results.model_figures import LatencyFigure, LatencyScale
from ...core.results.report import TargetReport
from .units import counted


def latency_cell(latency: LatencyFigure) -> str:
    """Return kind and milliseconds, with half the width of an estimate's band in per cent."""
    where = {"npu-estimate": "NPU", "host": "host", "board": "board"}[latency.kind]
    if latency.ms is None:
        return f"{where} unknown"
    band = ""
    if latency.low is not None and latency.high is not None and latency.ms:
        band = f" ±{(latency.high - latency.low) / 2 / latency.ms:.0%}"
    return f"{where} {latency.ms:.2f} ms{band}"


def latency_lines(target: TargetReport) -> list[str]:
    """Say what the words in the latency column mean, and the result's own latency in full."""
    figures = [(row.stage, figure) for row in target.models for figure in row.latency[:1]]
    kinds = {figure.kind for _, figure in figures}
    lines = []
    if "npu-estimate" in kinds:
        stage, last = [pair for pair in figures if pair[1].kind == "npu-estimate"][-1]
        lines.append(f"latency of {stage}: {latency_text(last)}")
    if "host" in kinds:
        lines.append("host: measured on this CPU in ONNX Runtime (quantized: not optimised)")
    return lines


def latency_text(latency: LatencyFigure) -> str:
    """Return milliseconds with their kind; an estimate with its band."""
    if latency.ms is None:
        return "no estimate for this chip, only cycles"
    if latency.kind == "npu-estimate" and latency.low is not None and latency.high is not None:
        scaled = f", {scale_text(latency.scale)}" if latency.scale else ""
        return f"{latency.ms:.2f} ms ({latency.low:.2f}-{latency.high:.2f}) estimated, NPU{scaled}"
    where = {"host": "measured, host CPU", "board": "measured, board"}[latency.kind]
    return f"{latency.ms:.2f} ms {where}"


def scale_text(scale: LatencyScale) -> str:
    """Return what an estimate was multiplied by, and why.

    >>> scale_text(LatencyScale(1.1834, 1))
    'scaled by 1.18 from 1 measured model'
    """
    return f"scaled by {scale.factor:.2f} from {counted(scale.models, 'measured model')}"
