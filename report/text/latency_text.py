"""Latency in words: the kind of each figure, its band, what it was scaled by, what bounds it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ...core.results.model_figures import (
    LatencyFigure,
    LatencyScale,
    ModelRow,
    ThroughputFigure,
)
from ...core.results.report import TargetReport
from .units import counted, digits_text, ms_text

_ALONE, _APPLICATION, _GIVEN = "npu-estimate", "application-estimate", "given"
_ON_NPU = (_ALONE, _GIVEN)
# of frames a second: not 1000 over the milliseconds of the NPU alone
IN_APPLICATION = "in an application"
AN_APPLICATION = f"{IN_APPLICATION}, inputs and outputs converted"
LATENCY_KINDS = {
    _ALONE: "estimated, NPU alone",
    "host": "measured, host CPU",
    "board": "measured, board",
    _GIVEN: "measured, by you",
}
_PROGRAMS = {
    "C": " in C, with inputs and outputs",
    "Python": " in Python, with inputs, and outputs in float32",
}


def latency_cell(latency: LatencyFigure) -> str:
    """Return kind and milliseconds, with half the width of an estimate's band in per cent."""
    where = "NPU" if latency.kind in _ON_NPU else latency.kind
    if latency.ms is None:
        return f"{where} unknown"
    return f"{where} {ms_text(latency.ms)}{band_text(latency)}"


def band_text(latency: LatencyFigure) -> str:
    """Return half the width of an estimate's band in per cent, "" where it has none.

    >>> band_text(LatencyFigure("npu-estimate", 2.0, 1.5, 2.5))
    ' ±25%'
    """
    if latency.low is None or latency.high is None or not latency.ms:
        return ""
    return f" ±{(latency.high - latency.low) / 2 / latency.ms:.0%}"


def rate_text(throughput: Sequence[ThroughputFigure]) -> str:
    """Return the frames a second of one context, "" where nobody has counted them.

    >>> rate_text([ThroughputFigure(1, 4366.4, 3358.8, 5676.3, "counted")]), rate_text(())
    ('4366', '')
    """
    return _rate(throughput[0].fps) if throughput else ""


def _rate(fps: float) -> str:
    return f"{fps:.{0 if fps >= 10 else 1}f}"


def rate_note(rows: Iterable[ModelRow]) -> str:
    """Return what frames a second have in them that a latency has not, "" where there are none.

    >>> rate_note(())
    ''
    """
    if not any(row.throughput for row in rows):
        return ""
    return f"fps: {AN_APPLICATION}; latency: NPU alone"


def latency_lines(target: TargetReport) -> list[str]:
    """Say what the words in the latency column mean, and the result's own latency in full."""
    timed = [(row, row.predicted) for row in target.models if row.predicted]
    kinds = {latency.kind for _, latency in timed}
    lines = []
    if not kinds.isdisjoint(_ON_NPU):
        last, alone = [pair for pair in timed if pair[1].kind in _ON_NPU][-1]
        lines.append(f"latency of {last.stage}: {latency_text(alone)}")
        shares = bound_shares((layer.bound, layer.ms) for layer in target.layers)
        lines += build_lines(last.latency, last.throughput, shares)
    if "host" in kinds:
        lines.append("host: measured on this CPU in ONNX Runtime (quantized: not optimised)")
    return lines


def latency_text(latency: LatencyFigure) -> str:
    """Return milliseconds with their kind; an estimate with its band."""
    if latency.ms is None:
        return "no estimate for this chip, only cycles"
    if latency.kind == _ALONE and latency.low is not None and latency.high is not None:
        return f"{_with_band(latency, latency.ms)} {kind_text(latency)}"
    return f"{ms_text(latency.ms)} {kind_text(latency)}"


def kind_text(latency: LatencyFigure) -> str:
    """Return how a latency is known, and what an estimate was scaled by.

    >>> kind_text(LatencyFigure("given", 6.3, scale=LatencyScale(1.2, 1)))
    'measured, by you'
    """
    is_scaled = latency.scale is not None and latency.kind != _GIVEN
    scaled = f", {scale_text(latency.scale)}" if is_scaled and latency.scale else ""
    return LATENCY_KINDS.get(latency.kind, latency.kind) + scaled


def build_lines(
    latency: Iterable[LatencyFigure],
    throughput: Sequence[ThroughputFigure],
    shares: dict[str, float],
) -> list[str]:
    """Return the lines below that of the NPU alone: an application, and what the time is bound by.

    >>> figure = LatencyFigure("application-estimate", 20.0, 16.0, 25.0)
    >>> rates = [ThroughputFigure(1, 50.0, 40.0, 62.5, "counted")]
    >>> rates.append(ThroughputFigure(2, 97.0, 72.5, 129.7, "interpolated"))
    >>> first, second = build_lines([figure], rates, {"compute": 0.75, "cpu": 0.25})
    >>> first.partition("; ")[2], second
    ('frames a second with 1, 2 contexts: 50, 97', 'time bound by compute 75%, cpu 25%')
    """
    lines = []
    for figure in latency:
        if figure.kind == _APPLICATION and figure.ms is not None:
            rates = f"; {throughput_text(throughput)}" if throughput else ""
            text = _with_band(figure, figure.ms)
            where = _PROGRAMS.get(figure.program or "", ", with inputs and outputs")
            lines.append(f"in an application{where}: {text}{rates}")
    if shares:
        bounds = ", ".join(f"{bound} {share:.0%}" for bound, share in shares.items())
        lines.append(f"time bound by {bounds}")
    return lines


def throughput_text(throughput: Sequence[ThroughputFigure]) -> str:
    """Return the frames a second with so many contexts."""
    contexts = ", ".join(str(figure.contexts) for figure in throughput)
    rates = ", ".join(_rate(each.fps) for each in throughput)
    noun = "context" if contexts == "1" else "contexts"
    return f"frames a second with {contexts} {noun}: {rates}"


def scale_text(scale: LatencyScale) -> str:
    """Return what an estimate was multiplied by, and why.

    >>> scale_text(LatencyScale(1.1834, 1))
    'scaled by 1.18 from 1 measured model'
    """
    return f"scaled by {digits_text(scale.factor)} from {counted(scale.models, 'measured model')}"


def bound_shares(parts: Iterable[tuple[str, float | None]]) -> dict[str, float]:
    """Return the share of the time by what bounds the layers, the largest first; {} without it.

    ``parts`` are the layers, each by what bounds it and its ms.

    >>> bound_shares([("compute", 1.0), ("memory", 3.0), ("cpu", None)])
    {'memory': 0.75, 'compute': 0.25}
    """
    sums: dict[str, float] = {}
    for bound, ms in parts:
        if ms:
            sums[bound] = sums.get(bound, 0.0) + ms
    total = sum(sums.values())
    ordered = sorted(sums.items(), key=lambda pair: -pair[1])
    return {bound: ms / total for bound, ms in ordered}


def ratio_texts(
    ratios: dict[str, float | None], low: float | None, high: float | None, by: str = ""
) -> str:
    """Return by how much each figure changed; of an estimated latency with its band.

    ``by`` says what that is estimated by, where it is not what milliseconds are.

    >>> ratio_texts({"size": 0.5, "latency": 0.7, "macs": None}, 0.6, 0.82)
    'size -50.0%, latency -30.0% (90 %: -40.0% to -18.0%)'
    """
    bands = {}
    if low is not None and high is not None:
        basis = f", {by}" if by else ""
        bands["latency"] = f" (90 %: {low - 1:+.1%} to {high - 1:+.1%}{basis})"
    return ", ".join(
        f"{name} {value - 1:+.1%}{bands.get(name, '')}"
        for name, value in ratios.items()
        if value is not None
    )


def _with_band(figure: LatencyFigure, ms: float) -> str:
    if figure.low is None or figure.high is None:
        return ms_text(ms)
    ends = f"{digits_text(figure.low)}-{digits_text(figure.high)}"
    return f"{ms_text(ms)} (90 % of models within {ends})"
