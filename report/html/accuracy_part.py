"""The HTML report's figures at a glance, and its accuracy with the intervals drawn."""

from __future__ import annotations

from collections.abc import Sequence

from ...core.results.model_figures import LatencyFigure, ModelRow, Ratios, RetentionFigure
from ...core.results.report import TargetReport
from ..text.latency_text import LATENCY_KINDS, scale_text
from ..text.table import RUNNERS, part_lines
from ..text.units import count_text, digits_text, finite, ms_text, number_text, size_text
from .charts import interval_chart
from .elements import card, interval_rows
from .markup import Markup, tag


def tiles(target: TargetReport) -> Markup:
    """Return the result in four figures, each with what it was or how certain it is."""
    result, ratios = target.models[-1], target.ratios
    reference = "the original" if target.target is None else "float16"
    size = _tile("Size", size_text(result.bytes), _against(ratios.size, reference))
    drawn = [_retention_tile(target.retention), size]
    latency = result.latency[0] if result.latency else None
    if latency and latency.cycles is not None:
        change = _against(ratios.cycles, reference)
        drawn.append(_tile("NPU cycles", count_text(latency.cycles), change))
    if latency and latency.ms is not None:
        drawn.append(_latency_tile(latency, latency.ms, _latency_against(ratios, reference)))
    return tag("div", drawn, class_="tiles")


def _retention_tile(figure: RetentionFigure) -> Markup:
    if figure.value is not None:
        return _tile("Retention", f"{figure.value:.4f}", f"95\u00a0%: {_interval(figure)}")
    if figure.agreement is not None:
        return _tile("Agreement", f"{figure.agreement:.1%}", "with the original, no labels")
    return _tile("Similarity", _decibel(figure.sqnr_db), "SQNR of the outputs, no labels")


def _latency_tile(latency: LatencyFigure, ms: float, change: str) -> Markup:
    note = LATENCY_KINDS.get(latency.kind, latency.kind)
    if latency.low is not None and latency.high is not None:
        note += ", 90\u00a0% of models within "
        note += f"{digits_text(latency.low)}-{digits_text(latency.high)}"
    if latency.scale is not None:
        note += f", {scale_text(latency.scale)}"
    return _tile("Latency", ms_text(ms), f"{change}; {note}" if change else note)


def _tile(name: str, value: str, note: str) -> Markup:
    above, below = (tag("span", text, class_="muted small") for text in (name, note))
    return tag("div", above, tag("b", value), below, class_="tile")


def _latency_against(ratios: Ratios, reference: str) -> str:
    """Return the change with its band."""
    if ratios.latency_low is None or ratios.latency_high is None:
        return _against(ratios.latency, reference)
    low, high = ratios.latency_low - 1, ratios.latency_high - 1
    return f"{_against(ratios.latency, reference)} (90\u00a0%: {low:+.1%} to {high:+.1%})"


def _against(ratio: float | None, reference: str) -> str:
    """Return the change; of a ``.rknn`` against the original model compiled in float16."""
    return "" if ratio is None else f"{ratio - 1:+.1%} against {reference}"


def _interval(figure: RetentionFigure) -> str:
    return f"{number_text(figure.low, '.4f')} to {number_text(figure.high, '.4f')}"


def _decibel(value: float) -> str:
    return "infinite" if finite(value) is None else f"{value:.1f} dB"


def accuracy_card(target: TargetReport) -> Markup:
    """Return the retention against its gate, and the metric of every form of the model."""
    limits = (gate.limit for gate in target.gates if gate.name == "min-retention")
    return card(
        "What is left of the accuracy",
        _retention(target.retention, next(limits, None)),
        _metrics(target.models),
        tag("p", _similarity(target.retention), class_="muted small"),
        *(tag("p", line, class_="muted small") for line in part_lines(target.parts)),
    )


def _retention(figure: RetentionFigure, limit: float | None) -> Markup:
    value, low, high = figure.value, figure.low, figure.high
    if value is None or low is None or high is None:
        why = "No labels were given, so accuracy is not known."
        if figure.metric:
            why = f"A model's {figure.metric} is not above 0, so there is no ratio."
        return tag("p", why)
    text = (
        f"{value:.1%} of the original's {figure.metric} is kept, on {figure.samples} "
        f"samples; the 95\u00a0% interval is {_interval(figure)}."
    )
    title = f"Retention {value:.4f}, 95 % interval {_interval(figure)}"
    if limit is not None:
        title += f", limit {limit:g}"
    chart = interval_chart(title, value, low, high, limit)
    return tag("div", tag("p", text, _difference(figure)), chart)


def _difference(figure: RetentionFigure) -> str:
    """Return the change in the metric itself, and whether chance alone would explain it."""
    if figure.difference is None:
        return ""
    low, high = figure.difference_low, figure.difference_high
    text = f" The {figure.metric} changed by {figure.difference:+.4f}"
    if low is not None and high is not None:
        text += f" ({low:+.4f} to {high:+.4f})"
    if figure.mcnemar is not None:
        text += f"; so large a difference comes by chance with p = {figure.mcnemar:.2g} (McNemar)"
    return f"{text}."


def _metrics(models: Sequence[ModelRow]) -> Markup | None:
    """Draw the metric of each form with its interval, on one axis."""
    measured = [(row.stage, row.accuracy) for row in models if row.accuracy is not None]
    if not measured:
        return None
    figures = [figure for _, figure in measured]
    named = [(stage, figure.value, figure.low, figure.high) for stage, figure in measured]
    runners = ", ".join(dict.fromkeys(RUNNERS.get(figure.runner, "") for figure in figures))
    note = f"{figures[-1].metric} with its 95\u00a0% interval, measured in {runners}"
    return tag("div", tag("p", note, class_="muted small"), interval_rows(named))


def _similarity(figure: RetentionFigure) -> str:
    text = f"Outputs differ from the original's by noise of {_decibel(figure.sqnr_db)} (SQNR)"
    if figure.agreement is not None:
        text += f"; agreement with the baseline {figure.agreement:.1%}"
    return f"{text}."
