"""The report as rows of text: a table of the models, then lines on what they mean.

Pure functions: cli/ decides how a terminal shows them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...core.results import (
    GateFigure,
    LatencyFigure,
    ModelRow,
    QuantizationFigure,
    Report,
    TargetReport,
)
from .changes import changes_lines
from .drift_text import drift_lines
from .pruning_text import blocks_text, choice_text, distillation_text
from .robustness_text import robustness_lines
from .units import UNKNOWN, count_text, size_text

# Short enough that all of it fits a terminal of 80 columns.
HEADINGS = ("model", "size", "params", "MACs", "cycles", "latency", "accuracy")
_RUNNERS = {
    "onnxruntime": "ONNX Runtime",
    "rknn-simulator": "the RKNN simulator",
    "board": "the board",
}


@dataclass(frozen=True)
class TextTable:
    """A title, the rows (one cell a heading), and the lines below; no rows for a failed target."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    lines: tuple[str, ...]


def to_tables(report: Report) -> list[TextTable]:
    """One table for each target."""
    return [_table(target, report.baseline) for target in report.targets]


def _table(target: TargetReport, baseline: Mapping[str, Any] | None) -> TextTable:
    if target.error is not None:
        return TextTable(target.target or "", (), (), tuple(_failure_lines(target)))
    lines = [
        *_latency_lines(target),
        *_accuracy_lines(target),
        *_retention_lines(target),
        *_ratio_lines(target),
        *drift_lines(target.drift),
        *robustness_lines(target.robustness),
        *changes_lines(baseline, target.changes),
        *_gate_lines(target),
    ]
    return TextTable(
        title=target.target or "ONNX Runtime only",
        headings=HEADINGS,
        rows=tuple(_row(row) for row in target.models),
        lines=tuple(lines),
    )


def _failure_lines(target: TargetReport) -> list[str]:
    assert target.error is not None
    stage = next((one.name for one in target.stages if one.status == "failed"), None)
    lines = [f"failed{f' in {stage}' if stage else ''}: {target.error.message}"]
    if target.error.hint:
        lines.append(f"hint: {target.error.hint}")
    return [*lines, "verdict: FAIL (nothing was built)"]


def _row(row: ModelRow) -> tuple[str, ...]:
    return (
        row.stage,
        size_text(row.bytes),
        count_text(row.parameters),
        count_text(row.macs),
        count_text(row.cycles),
        _latency_cell(row.latency[0]) if row.latency else UNKNOWN,
        UNKNOWN if row.accuracy is None else f"{row.accuracy.value:.4f}",
    )


def _latency_cell(latency: LatencyFigure) -> str:
    """Where it is from and the milliseconds; half the width of an estimate's band in per cent."""
    where = {"npu-estimate": "NPU", "host": "host", "board": "board"}[latency.kind]
    if latency.ms is None:
        return f"{where} unknown"
    band = ""
    if latency.low is not None and latency.high is not None and latency.ms:
        band = f" ±{(latency.high - latency.low) / 2 / latency.ms:.0%}"
    return f"{where} {latency.ms:.2f} ms{band}"


def _latency_lines(target: TargetReport) -> list[str]:
    """What the words in the latency column mean, and the result's own latency in full."""
    figures = [(row.stage, one) for row in target.models for one in row.latency[:1]]
    kinds = {one.kind for _, one in figures}
    lines = []
    if "npu-estimate" in kinds:
        stage, last = [pair for pair in figures if pair[1].kind == "npu-estimate"][-1]
        lines.append(f"latency of {stage}: {latency_text(last)}")
    if "host" in kinds:
        lines.append("host: measured on this CPU in ONNX Runtime (quantized: not optimised)")
    return lines


def _accuracy_lines(target: TargetReport) -> list[str]:
    found = [(row.stage, row.accuracy) for row in target.models if row.accuracy is not None]
    if not found:
        return []
    runners: dict[str, list[str]] = {}
    for stage, accuracy in found:
        runners.setdefault(_RUNNERS[accuracy.runner], []).append(stage)
    where = "; ".join(f"{', '.join(stages)} in {runner}" for runner, stages in runners.items())
    return [f"accuracy: {found[-1][1].metric}; {where}"]


def latency_text(latency: LatencyFigure) -> str:
    """Milliseconds with their kind; an estimate with its band."""
    if latency.ms is None:
        return "no estimate for this chip, only cycles"
    if latency.kind == "npu-estimate" and latency.low is not None and latency.high is not None:
        return f"{latency.ms:.2f} ms ({latency.low:.2f}-{latency.high:.2f}) estimated, NPU"
    where = {"host": "measured, host CPU", "board": "measured, board"}[latency.kind]
    return f"{latency.ms:.2f} ms {where}"


def _retention_lines(target: TargetReport) -> list[str]:
    kept = target.retention
    similar = similarity_text(kept.agreement, kept.sqnr_db)
    if kept.value is None or kept.low is None or kept.high is None:
        why = (
            "no labels, so no accuracy"
            if kept.metric is None
            else f"no retention: a model's {kept.metric} is not above 0"
        )
        return [f"{similar} on {kept.samples} samples ({why})"]
    read = f" (output {', '.join(kept.outputs)})" if kept.outputs else ""
    return [
        f"retention {kept.value:.4f} (95 % interval {kept.low:.4f} to {kept.high:.4f}) "
        f"of {kept.metric}{read} on {kept.samples} samples; {similar}",
        *_difference_lines(target),
    ]


def _difference_lines(target: TargetReport) -> list[str]:
    """The difference and its interval, and how many samples changed."""
    kept, changed = target.retention, target.examples
    if kept.difference is None or kept.difference_low is None or kept.difference_high is None:
        return []
    text = (
        f"difference {kept.difference:+.4f} "
        f"(95 % interval {kept.difference_low:+.4f} to {kept.difference_high:+.4f})"
    )
    if kept.mcnemar is not None:
        text += f", McNemar p {kept.mcnemar:.2g}"
    if changed:
        text += f"; {len(changed['lost'])} samples lost, {len(changed['gained'])} gained"
    return [text]


def similarity_text(agreement: float | None, sqnr_db: float) -> str:
    """How close outputs are to the baseline's, in words.

    >>> similarity_text(0.964, 19.7)
    'agreement with the baseline 96.4%, SQNR 19.7 dB'
    """
    noise = f"SQNR {'infinite' if math.isinf(sqnr_db) else f'{sqnr_db:.1f} dB'}"
    return noise if agreement is None else f"agreement with the baseline {agreement:.1%}, {noise}"


def quantization_text(how: QuantizationFigure) -> list[str]:
    """Which method quantized the model, what the others came to, and what float16 adds.

    >>> decibels = {"gptq": 24.84, "min-max": 19.06}
    >>> quantization_text(QuantizationFigure("gptq", 24, decibels))
    ['quantized by gptq, 24.8 dB on 24 held-out samples (min-max 19.1)']
    >>> quantization_text(QuantizationFigure("min-max", 24, decibels))
    ['quantized by min-max, 19.1 dB on 24 held-out samples (gptq 24.8; none better beyond chance)']
    >>> scores = {"gptq": 0.75, "min-max": 0.7917}
    >>> labelled = QuantizationFigure("gptq", 24, decibels, metric="top1", scores=scores)
    >>> quantization_text(labelled)[1]
    'their top1: gptq 0.750, min-max 0.792 (SQNR decided)'
    """
    text = f"quantized by {how.method}" + (", as asked" if how.chosen_by == "user" else "")
    if how.candidates:
        others = [f"{name} {_db(db)}" for name, db in how.candidates.items() if name != how.method]
        chance = "; none better beyond chance" if kept_by_chance(how) else ""
        rest = f" ({', '.join(others)}{chance})" if others else ""
        text += f", {_db(how.candidates[how.method])} dB on {how.held_out} held-out samples{rest}"
    lines = [text]
    if how.scores:
        lines.append(_scores_text(how))
    if how.tradeoffs:
        tried = ", ".join(
            f"{one.floating} {_db(one.sqnr_db)} dB {one.cost[0] - 1:+.1%}" for one in how.tradeoffs
        )
        of = how.tradeoffs[0].cost[1]
        cost = "estimated cycles" if of == "cycles" else "size of the weights over int8's"
        lines.append(f"tensors in {how.wide}: {how.floating} (tried, with {cost}: {tried})")
    return lines


def kept_by_chance(how: QuantizationFigure) -> bool:
    """Whether another method had a higher SQNR, but not by more than chance may give it."""
    best = max(how.candidates.values(), default=0.0)
    return how.chosen_by == "sqnr" and best > how.candidates.get(how.method, best)


def counted(count: int, noun: str) -> str:
    """A number of things.

    >>> counted(1, "weight"), counted(2, "weight")
    ('1 weight', '2 weights')
    """
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _scores_text(how: QuantizationFigure) -> str:
    scores = ", ".join(f"{name} {value:.3f}" for name, value in how.scores.items())
    if how.chosen_by == how.metric:
        return f"their {how.metric}, which decided: {scores}"
    return f"their {how.metric}: {scores} (SQNR decided)"


def _db(value: float) -> str:
    return "infinite" if math.isinf(value) else f"{value:.1f}"


def _ratio_lines(target: TargetReport) -> list[str]:
    lines = []
    if (how := target.quantization) is not None:
        lines.extend(quantization_text(how))
    if target.pruning is not None:
        form = "int8" if target.model("reference-int8") else "float16"
        lines.append(f"pruned against unpruned, both {form}: {_ratios(target.pruning.ratios)}")
        if left_out := blocks_text(target.pruning.blocks):
            lines.append(left_out)
        if target.pruning.choice is not None:
            lines.append(choice_text(target.pruning.choice))
        if target.pruning.distillation is not None:
            lines.append(distillation_text(target.pruning.distillation))
    sparse = sum(bool(layer.get("sparse_ratio")) for layer in target.layers)
    if sparse:
        lines.append(f"the compiler takes {sparse} layers as 2:4 sparse")
    if any(value is not None for value in target.ratios.values()):
        what = "candidate against the baseline, both in ONNX Runtime"
        if target.target is not None:
            what = "result against the original in float16"
        lines.append(f"{what}: {_ratios(target.ratios)}")
    return lines


def _ratios(ratios: dict[str, float | None]) -> str:
    return ", ".join(
        f"{name} {value - 1:+.1%}" for name, value in ratios.items() if value is not None
    )


def _gate_lines(target: TargetReport) -> list[str]:
    if not target.gates:
        return ["verdict: no gate was set"]
    shown = ", ".join(gate_text(gate) for gate in target.gates)
    verdict = "pass" if all(gate.passed for gate in target.gates) else "FAIL"
    return [f"verdict: {verdict} ({shown})"]


def gate_text(gate: GateFigure) -> str:
    """A gate with its limit and the value seen.

    >>> gate_text(GateFigure("min-retention", 0.98, 0.9711, False))
    'min-retention 0.98 does not hold: 0.9711'
    """
    relation = "holds" if gate.passed else "does not hold"
    return f"{gate.name} {gate.limit:g} {relation}: {gate.value:.4g}"
