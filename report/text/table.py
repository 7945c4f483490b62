"""The report as rows of text: a table of the models, then lines on what they mean.

Pure functions: cli/ decides how a terminal shows them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from ...core.errors import RockpressError
from ...core.results.model_figures import QuantizationFigure
from ...core.results.part_figures import PartFigure
from ...core.results.report import EarlierReport, Report, TargetReport
from ...core.results.usual_fidelity import USUAL_INT8
from .chain_text import drift_lines, robustness_lines
from .changes import changes_lines
from .latency_text import latency_lines, ratio_texts
from .model_table import ColumnTable, model_table
from .pruning_text import pruning_lines
from .units import memory_text, ms_text
from .verdict import part_name

RUNNERS = {
    "onnxruntime": "ONNX Runtime",
    "rknn-simulator": "the RKNN simulator",
    "board": "the board",
}


@dataclass(frozen=True)
class TextTable:
    """A title, the table of the models, None for a failed target, and the lines below.

    ``asked`` are on what an option asked for, ``details`` on all else.
    """

    title: str
    models: ColumnTable | None
    asked: tuple[str, ...]
    details: tuple[str, ...] = ()


def to_tables(report: Report) -> list[TextTable]:
    """Return one table for each target."""
    return [_table(target, report.baseline) for target in report.targets]


def _table(target: TargetReport, baseline: EarlierReport | None) -> TextTable:
    title = target.target or "ONNX Runtime only"
    if target.error is not None:
        return TextTable(title, None, (), tuple(_failure_lines(target, target.error)))
    details = [
        *latency_lines(target),
        *_memory_lines(target),
        *_accuracy_lines(target),
        *_retention_lines(target),
        *part_lines(target.parts),
        *_ratio_lines(target),
        *drift_lines(target.drift),
    ]
    asked = [*robustness_lines(target.robustness), *changes_lines(baseline, target.changes)]
    models = model_table(target) if target.models else None
    return TextTable(title, models, tuple(asked), tuple(details))


def _failure_lines(target: TargetReport, error: RockpressError) -> list[str]:
    stage = next((run.name for run in target.stages if run.status == "failed"), None)
    lines = [f"failed{f' in {stage}' if stage else ''}: {error.message}"]
    return [*lines, f"hint: {error.hint}"] if error.hint else lines


def _memory_lines(target: TargetReport) -> list[str]:
    memories = [row.memory for row in target.models[-1:] if row.memory is not None]
    return list(map(memory_text, memories))


def _accuracy_lines(target: TargetReport) -> list[str]:
    measured = [(row.stage, row.accuracy) for row in target.models if row.accuracy is not None]
    if not measured:
        return []
    runners: dict[str, list[str]] = {}
    for stage, accuracy in measured:
        runners.setdefault(RUNNERS[accuracy.runner], []).append(stage)
    where = "; ".join(f"{', '.join(stages)} in {runner}" for runner, stages in runners.items())
    return [f"accuracy: {measured[-1][1].metric}; {where}"]


def _retention_lines(target: TargetReport) -> list[str]:
    figure = target.retention
    similar = similarity_text(figure.agreement, figure.sqnr_db)
    if figure.value is None or figure.low is None or figure.high is None:
        why = (
            "no labels, so no accuracy"
            if figure.metric is None
            else f"no retention: a model's {figure.metric} is not above 0"
        )
        usual = "" if math.isinf(figure.sqnr_db) else f"; {USUAL_INT8}"
        return [f"{similar} on {figure.samples} samples ({why}){usual}"]
    read = f" (output {', '.join(figure.outputs)})" if figure.outputs else ""
    return [
        f"retention {figure.value:.4f} (95 % interval {figure.low:.4f} to {figure.high:.4f}) "
        f"of {figure.metric}{read} on {figure.samples} samples; {similar}",
        *_difference_lines(target),
    ]


def part_lines(parts: Sequence[PartFigure]) -> list[str]:
    """Return the SQNR of each part, where there are several."""
    texts = [f"{part_name(part)} {_db(part.sqnr_db)} dB" for part in parts]
    return [f"SQNR of each part: {', '.join(texts)}"] if len(texts) > 1 else []


def _difference_lines(target: TargetReport) -> list[str]:
    """Return the difference and its interval, and how many samples changed."""
    figure, changed = target.retention, target.examples
    low, high = figure.difference_low, figure.difference_high
    if figure.difference is None or low is None or high is None:
        return []
    text = f"difference {figure.difference:+.4f} (95 % interval {low:+.4f} to {high:+.4f})"
    if figure.mcnemar is not None:
        text += f", McNemar p {figure.mcnemar:.2g}"
    if changed is not None:
        text += f"; {len(changed.lost)} samples lost, {len(changed.gained)} gained"
    return [text]


def similarity_text(agreement: float | None, sqnr_db: float) -> str:
    """Return how close outputs are to the baseline's, in words.

    >>> similarity_text(0.964, 19.7)
    'agreement with the baseline 96.4%, SQNR 19.7 dB'
    """
    noise = f"SQNR {'infinite' if math.isinf(sqnr_db) else f'{sqnr_db:.1f} dB'}"
    return noise if agreement is None else f"agreement with the baseline {agreement:.1%}, {noise}"


def quantization_text(figure: QuantizationFigure) -> list[str]:
    """Return which method quantized the model, what the others came to, and what float16 adds.

    >>> decibels = {"gptq": 24.84, "min-max": 19.06}
    >>> quantization_text(QuantizationFigure("gptq", 24, decibels))
    ['quantized by gptq, 24.8 dB on 24 held-out samples (min-max 19.1)']
    >>> quantization_text(QuantizationFigure("min-max", 24, decibels))[0].partition("(")[2]
    'gptq 24.8; none better by more than chance)'
    >>> scores = {"gptq": 0.75, "min-max": 0.7917}
    >>> labelled = QuantizationFigure("gptq", 24, decibels, metric="top1", scores=scores)
    >>> quantization_text(labelled)[1]
    'their top1: gptq 0.750, min-max 0.792 (SQNR decided)'
    >>> from ...core.results.model_figures import TradeoffFigure
    >>> timed = TradeoffFigure(3, None, 26.2, latency_ratio=1.074, ms=3.1)
    >>> quantization_text(QuantizationFigure("gptq", 24, decibels, 3, (timed,)))[1]
    'tensors in float16: 3 (tried, with estimated latency: 3 26.2 dB +7.4% 3.10 ms)'
    """
    method, decibels = figure.method, figure.candidates
    text = f"quantized by {method}" + (", as asked" if figure.chosen_by == "user" else "")
    if decibels:
        others = [f"{name} {_db(decibel)}" for name, decibel in decibels.items() if name != method]
        chance = "; none better by more than chance" if is_within_chance(figure) else ""
        rest = f" ({', '.join(others)}{chance})" if others else ""
        text += f", {_db(decibels[method])} dB on {figure.held_out} held-out samples{rest}"
    lines = [text]
    if figure.scores:
        lines.append(_scores_text(figure))
    if figure.tradeoffs:
        lines.append(_tradeoffs_text(figure))
    return lines


def _tradeoffs_text(figure: QuantizationFigure) -> str:
    start = f"tensors in {figure.wide}: {figure.floating}"
    of = figure.tradeoffs[0].cost[1]
    if figure.tradeoffs[0].cost[0] is None:
        return f"{start} (no other number was tried: the toolkit does not build the int8 model)"
    cost = "size of the weights over int8's" if of == "size" else f"estimated {of}"
    tried = ", ".join(
        f"{tradeoff.floating} {_db(tradeoff.sqnr_db)} dB {ratio - 1:+.1%}"
        + ("" if tradeoff.ms is None else f" {ms_text(tradeoff.ms)}")
        for tradeoff in figure.tradeoffs
        if (ratio := tradeoff.cost[0]) is not None
    )
    return f"{start} (tried, with {cost}: {tried})"


def is_within_chance(figure: QuantizationFigure) -> bool:
    """Return whether another method had a higher SQNR, but not by more than chance may give it."""
    best = max(figure.candidates.values(), default=0.0)
    return figure.chosen_by == "sqnr" and best > figure.candidates.get(figure.method, best)


def _scores_text(figure: QuantizationFigure) -> str:
    scores = ", ".join(f"{name} {value:.3f}" for name, value in figure.scores.items())
    if figure.chosen_by == figure.metric:
        return f"their {figure.metric}, which decided: {scores}"
    return f"their {figure.metric}: {scores} (SQNR decided)"


def _db(value: float) -> str:
    return "infinite" if math.isinf(value) else f"{value:.1f}"


def _ratio_lines(target: TargetReport) -> list[str]:
    lines = []
    if target.quantization is not None:
        lines.extend(quantization_text(target.quantization))
    if target.pruning is not None:
        form = "int8" if target.model("reference-int8") else "float16"
        pruning = target.pruning
        texts = ratio_texts(pruning.ratios, pruning.latency_low, pruning.latency_high)
        lines.append(f"pruned against unpruned, both {form}: {texts}")
        lines += pruning_lines(pruning.blocks, pruning.choice, pruning.distillation)
    sparse = sum(layer.sparse_ratio > 0 for layer in target.layers)
    if sparse:
        lines.append(f"the compiler takes {sparse} layers as 2:4 sparse")
    ratios = asdict(target.ratios)
    low, high = ratios.pop("latency_low"), ratios.pop("latency_high")
    if any(value is not None for value in ratios.values()):
        pair = "candidate against the baseline, both in ONNX Runtime"
        if target.target is not None:
            pair = "result against the original in float16"
        lines.append(f"{pair}: {ratio_texts(ratios, low, high)}")
    return lines


def versions_of(report: Report) -> list[str]:
    """Return what made the report, each with its version; what is not installed is left out."""
    tools = (report.tool, report.toolkit)
    return [f"{tool.name} {tool.version}" for tool in tools if tool.version]
