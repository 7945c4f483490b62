"""The report as rows of text: a table of the models, then lines on what they mean.

Pure functions: cli/ decides how a terminal shows them.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

from ...core.errors import RockpressError
from ...core.percents import percent_range, percent_text
from ...core.results.model_figures import QuantizationFigure, TrainingFigure
from ...core.results.report import EarlierReport, Report, TargetReport
from ...core.results.usual_fidelity import USUAL_INT8
from .attack_text import attack_lines
from .board_text import board_lines, where_text
from .chain_text import drift_lines, robustness_lines
from .changes import changes_lines
from .latency_text import latency_lines, rate_note, ratio_texts
from .model_table import ColumnTable, model_table
from .pruning_text import pruning_lines, saved_text
from .similarity_text import decibel_text, part_lines, similarity_text
from .units import counted, memory_text, ms_text

RUNNERS = {
    "onnxruntime": "in ONNX Runtime",
    "rknn-simulator": "in the RKNN simulator",
    "board": "on the board",
}


@dataclass(frozen=True)
class TextTable:
    """A title, the table of the models, None for a failed target, and the lines below.

    ``note`` says what the headings do not, "" where there is nothing to say; ``asked`` are on what
    an option asked for, ``details`` on all else.
    """

    title: str
    models: ColumnTable | None
    asked: tuple[str, ...]
    details: tuple[str, ...] = ()
    note: str = ""


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
    asked = [
        *board_lines(target),
        *robustness_lines(target.robustness),
        *attack_lines(target.attacks),
        *changes_lines(baseline, target.changes),
    ]
    models = model_table(target) if target.models else None
    return TextTable(title, models, tuple(asked), tuple(details), rate_note(target.models))


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
        runners.setdefault(RUNNERS.get(accuracy.runner, f"in {accuracy.runner}"), []).append(stage)
    where = "; ".join(f"{', '.join(stages)} {runner}" for runner, stages in runners.items())
    return [f"accuracy: {measured[-1][1].metric}; {where}"]


def _retention_lines(target: TargetReport) -> list[str]:
    figure = target.retention
    similar = similarity_text(figure.agreement, figure.samples, figure.sqnr_db)
    if figure.value is None or figure.low is None or figure.high is None:
        why = (
            "no labels, so no accuracy"
            if figure.metric is None
            else f"no retention: a model's {figure.metric} is not above 0"
        )
        usual = "" if math.isinf(figure.sqnr_db) else f"; {USUAL_INT8}"
        return [f"{similar} on {figure.samples} samples{where_text(target)} ({why}){usual}"]
    read = f" (output {', '.join(figure.outputs)})" if figure.outputs else ""
    return [
        f"retention {percent_text(figure.value)} (95 % interval "
        f"{percent_range(figure.low, figure.high)}) of {figure.metric}{read} on {figure.samples} "
        f"samples{where_text(target)}; {similar}",
        *_difference_lines(target),
    ]


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
        text += f"; {counted(len(changed.lost), 'sample')} lost, {len(changed.gained)} gained"
    return [text]


def quantization_text(figure: QuantizationFigure) -> list[str]:
    """Return which method quantized the model, what the others came to, and what float16 adds.

    >>> decibels = {"gptq": 24.84, "min-max": 19.06}
    >>> quantization_text(QuantizationFigure("gptq", 24, decibels))
    ['quantized by gptq, 24.8 dB to the float model on 24 held-out samples (min-max 19.1)']
    >>> quantization_text(QuantizationFigure("min-max", 24, decibels))[0].partition("(")[2]
    'gptq 24.8; none better by more than chance)'
    >>> scores = {"gptq": 0.75, "min-max": 0.7917}
    >>> labelled = QuantizationFigure("gptq", 24, decibels, metric="top1", scores=scores)
    >>> quantization_text(labelled)[1]
    'their top1: gptq 0.750, min-max 0.792 (SQNR decided)'
    >>> from ...core.results.model_figures import TradeoffFigure
    >>> timed = TradeoffFigure(3, None, 26.2, latency_ratio=1.074, ms=3.1)
    >>> quantization_text(QuantizationFigure("gptq", 24, decibels, 3, (timed,)))[1]
    'tensors in float16: 3 (tried, with their dB and estimated latency: 3 26.2 dB +7.4% 3.10 ms)'
    >>> quantization_text(QuantizationFigure("gptq", 24, {"gptq": 24.84}, fallback="normal"))[0]
    'quantized by the toolkit (normal) instead of gptq; gptq itself 24.8 dB to the float model on 24 held-out samples'
    """  # noqa: E501
    method, decibels = figure.method, figure.candidates
    text = f"quantized by {quantizer_text(figure)}"
    if decibels:
        others = [
            f"{name} {decibel_text(decibel)}"
            for name, decibel in decibels.items()
            if name != method
        ]
        chance = "; none better by more than chance" if is_within_chance(figure) else ""
        rest = f" ({', '.join(others)}{chance})" if others else ""
        before = f"; {method} itself" if figure.fallback else ","
        text += (
            f"{before} {decibel_text(decibels[method])} dB to the float model on "
            f"{figure.held_out} held-out samples{rest}"
        )
    lines = [text]
    if figure.scores:
        lines.append(_scores_text(figure))
    if figure.tradeoffs:
        lines.append(_tradeoffs_text(figure))
    if figure.training:
        lines.append(training_text(figure.training))
    return lines


def quantizer_text(figure: QuantizationFigure) -> str:
    """Return what quantized the model that was built in the end.

    >>> quantizer_text(QuantizationFigure("gptq", 24, {}, chosen_by="user"))
    'gptq, as asked'
    >>> quantizer_text(QuantizationFigure("gptq", 24, {}, fallback="hybrid"))
    'the toolkit (hybrid) in the ranges of gptq'
    """
    is_asked = figure.chosen_by == "user"
    if figure.fallback is None:
        return figure.method + (", as asked" if is_asked else "")
    of = "in the ranges of" if figure.fallback == "hybrid" else "instead of"
    asked = ", which was asked for" if is_asked else ""
    return f"the toolkit ({figure.fallback}) {of} {figure.method}{asked}"


def training_text(training: TrainingFigure) -> str:
    """Return one line; the values are those of the samples that were held out.

    >>> training_text(TrainingFigure(True, 8.04, 13.21, 0.31, 0.082, 500, 600.0, 1000, 96))
    'training: 8.0 to 13.2 dB, loss 0.31 to 0.082 on 96 held-out samples, 500 steps in 600 s'
    """
    before, after = decibel_text(training.sqnr_before), decibel_text(training.sqnr_after)
    fate = "" if training.kept else "not kept, as it is not surely better: "
    loss = f"loss {training.loss_before:.3g} to {training.loss_after:.3g}"
    on = f"on {training.held_out} held-out samples"
    effort = f"{training.steps} steps in {training.seconds:.0f} s"
    return f"training: {fate}{before} to {after} dB, {loss} {on}, {effort}"


def _tradeoffs_text(figure: QuantizationFigure) -> str:
    start = f"tensors in {figure.wide}: {figure.floating}"
    of = figure.tradeoffs[0].cost[1]
    if figure.tradeoffs[0].cost[0] is None:
        return f"{start} (no other number was tried: the toolkit does not build the int8 model)"
    cost = "size of the weights over int8's" if of == "size" else f"estimated {of}"
    tried = ", ".join(
        f"{tradeoff.floating} {decibel_text(tradeoff.sqnr_db)} dB {ratio - 1:+.1%}"
        + ("" if tradeoff.ms is None else f" {ms_text(tradeoff.ms)}")
        for tradeoff in figure.tradeoffs
        if (ratio := tradeoff.cost[0]) is not None
    )
    return f"{start} (tried, with their dB and {cost}: {tried})"


def is_within_chance(figure: QuantizationFigure) -> bool:
    """Return whether another method had a higher SQNR, but not by more than chance may give it."""
    best = max(figure.candidates.values(), default=0.0)
    return figure.chosen_by == "sqnr" and best > figure.candidates.get(figure.method, best)


def _scores_text(figure: QuantizationFigure) -> str:
    scores = ", ".join(f"{name} {value:.3f}" for name, value in figure.scores.items())
    if figure.chosen_by == figure.metric:
        return f"their {figure.metric}, which decided: {scores}"
    return f"their {figure.metric}: {scores} (SQNR decided)"


def _ratio_lines(target: TargetReport) -> list[str]:
    lines = []
    if target.quantization is not None:
        lines.extend(quantization_text(target.quantization))
    if target.pruning is not None:
        pruning = target.pruning
        lines.append(f"result {saved_text(target, pruning)}")
        lines += pruning_lines(pruning.blocks, pruning.choice, pruning.distillation, pruning.unseen)
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
    return [*lines, *_uncounted_lines(target)]


def _uncounted_lines(target: TargetReport) -> list[str]:
    """Return why the time does not fall with the cycles, where it does not."""
    cycles, latency = target.ratios.cycles, target.ratios.latency
    whole = sum(layer.ms or 0.0 for layer in target.layers)
    if cycles is None or latency is None or cycles >= 1 or latency < 1 or not whole:
        return []
    uncounted = sum(layer.ms or 0.0 for layer in target.layers if not layer.total_cycles)
    return [
        f"cycles fall and time does not: {uncounted / whole:.0%} of it is in layers that the "
        "compiler counts no cycles for (copies, conversions between number formats), and each of "
        f"the {len(target.layers)} has to be started"
    ]


def versions_of(report: Report) -> list[str]:
    """Return what made the report, each with its version; what is not installed is left out."""
    tools = (report.tool, report.toolkit)
    return [f"{tool.name} {tool.version}" for tool in tools if tool.version]
