"""The HTML report's models before and after, quantization, changes, feed and stages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TypeVar

from ...core.results.layer_rows import Feed, FeedInput, FeedOutput
from ...core.results.model_figures import ModelRow, QuantizationFigure, Ratios
from ...core.results.report import ChangeFigure, StageRun
from ..text.changes import change_row, worse_by
from ..text.feed_text import classes_text
from ..text.latency_text import build_lines, latency_text, rate_note, ratio_texts
from ..text.stage_text import stage_time, stages_time
from ..text.table import quantizer_text, training_text
from ..text.units import count_text, finite, memory_bytes, memory_text, ms_text, size_text
from .charts import ChartPoint, bar, curve
from .elements import bar_row, card, data_table, folded_card
from .markup import Markup, tag

_Number = TypeVar("_Number", int, float)
_INSIDE = "The model applies mean and std itself: give it pixels from 0 to 255."


def models_card(models: Sequence[ModelRow], ratios: Ratios) -> Markup:
    """Draw size, latency, memory and cycles of every form of the model, as bars."""
    sizes: list[tuple[str, int | None]] = [(row.stage, row.bytes) for row in models]
    timed = [(row.stage, row.predicted) for row in models if row.predicted]
    npu = [(stage, latency) for stage, latency in timed if latency.kind != "host"]
    parts = [
        _bars("Size", sizes, size_text),
        _bars(
            "Latency of the NPU alone",
            [*((stage, latency.ms) for stage, latency in npu), *_on_board(models[-1])],
            ms_text,
        ),
        _bars(
            "Memory while it runs",
            [(row.stage, memory_bytes(row.memory)) for row in models],
            size_text,
        ),
        _bars("NPU cycles", [(stage, latency.cycles) for stage, latency in npu], count_text),
    ]
    if not npu:
        host = [(stage, latency.ms) for stage, latency in timed]
        parts.append(_bars("Latency on this host's CPU", host, ms_text))
    result = models[-1]
    lines = [*_latency_line(result, ratios), *build_lines(result.latency, result.throughput, {})]
    lines += [memory_text(result.memory)] if result.memory else []
    parts += [tag("p", f"{line[0].upper()}{line[1:]}.", class_="small") for line in lines]
    parts += [tag("p", f"{note}.", class_="muted small") for note in [rate_note(models)] if note]
    return card("Before and after", *parts)


def _on_board(result: ModelRow) -> list[tuple[str, float | None]]:
    """Return the time of the result that a board took, to stand below the estimate."""
    first = result.latency[:1]
    return [(f"{result.stage} on the board", each.ms) for each in first if each.kind == "board"]


def _latency_line(result: ModelRow, ratios: Ratios) -> list[str]:
    """Return how sure the latency of the NPU alone is, and its ratio."""
    figure = result.predicted
    if figure is None or figure.ms is None or figure.cycles is None:
        return []
    change = ratio_texts({"latency": ratios.latency}, ratios.latency_low, ratios.latency_high)
    more = f"; against float16: {change}" if change else ""
    return [f"{latency_text(figure)}{more}"]


def _bars(
    title: str, rows: Sequence[tuple[str, _Number | None]], text: Callable[[_Number], str]
) -> Markup | None:
    bars = [(stage, value) for stage, value in rows if value is not None]
    if not bars:
        return None
    most = max(value for _, value in bars) or 1
    drawn = [
        bar_row(
            stage,
            bar(value / most, "after" if index == len(bars) - 1 else "before"),
            text(value),
        )
        for index, (stage, value) in enumerate(bars)
    ]
    return tag("div", tag("p", title, class_="muted small"), drawn)


def quantization_card(figure: QuantizationFigure | None) -> Markup | None:
    """Draw which ways to quantize were compared, and what float16 would add."""
    if figure is None or not any(
        (figure.candidates, figure.tradeoffs, figure.fallback, figure.training)
    ):
        return None
    note = f"Noise of the outputs (SQNR) on {figure.held_out} samples that no method had seen."
    built = f"The .rknn is quantized by {quantizer_text(figure)}." if figure.fallback else ""
    candidates = figure.candidates.items()
    decibels = {name: value for name, value in candidates if finite(value) is not None}
    most = max([1.0, *decibels.values()])
    rows = []
    for name, value in sorted(decibels.items(), key=lambda pair: -pair[1]):
        is_built = name == figure.method and not figure.fallback
        kind = "after" if is_built else "before"
        rows.append(bar_row(name, bar(value / most, kind), f"{value:.1f} dB"))
    note += _reason(figure, decibels)
    title = f"Quantization: {f'the toolkit ({figure.fallback})' if built else figure.method}"
    trained = f"After {training_text(figure.training)}." if figure.training else ""
    note = " ".join(filter(None, (built, note if rows else "", trained)))
    return card(title, *rows, _tradeoffs(figure), note=note)


def _reason(figure: QuantizationFigure, decibels: dict[str, float]) -> str:
    """Return why this method, where the bars alone do not say it."""
    if figure.chosen_by == "user":
        return f" {figure.method} was asked for."
    if figure.chosen_by != "sqnr":
        return f" The method was chosen by {figure.metric} on them."
    own = decibels.get(figure.method)
    if own is None or max(decibels.values()) <= own:
        return ""
    return f" {figure.method} was kept: sample by sample none is better by more than chance."


def _tradeoffs(figure: QuantizationFigure) -> Markup | None:
    wide = figure.wide
    costs = [(tradeoff.cost[0], tradeoff) for tradeoff in figure.tradeoffs]
    of = figure.tradeoffs[0].cost[1] if figure.tradeoffs else ""
    points = [
        ChartPoint(
            cost,
            tradeoff.sqnr_db,
            f"{tradeoff.floating} tensors in {wide}: {tradeoff.sqnr_db:.1f} dB, "
            f"{cost - 1:+.1%} {of}",
            tradeoff.floating == figure.floating,
        )
        for cost, tradeoff in costs
        if cost is not None and finite(tradeoff.sqnr_db) is not None
    ]
    if len(points) < 2:
        return None
    title = f"SQNR against {of} for {len(points)} choices of tensors in {wide}"
    drawn = curve(title, points, (f"{of} over int8", "dB"))
    text = f"Mixed precision: {figure.floating} tensors stay in {wide} (the large point)."
    return tag("div", tag("p", text), drawn)


def changes_card(changes: Sequence[ChangeFigure]) -> Markup | None:
    """Return what changed since the report of an earlier run, as a table."""
    if not changes:
        return None
    rows = []
    for change in changes:
        name, before, after, text = change_row(change)
        kind = "bad" if "worse" in text else "good" if worse_by(change) < 0 else None
        rows.append([name, before, after, tag("span", text, class_=kind)])
    table = data_table("Since the last report", ("", "before", "now", "change"), rows, numbers=3)
    return card("Since the last report", table)


def feed_card(feed: Feed | None) -> Markup | None:
    """Return what the program on the board has to give the model and gets from it."""
    if feed is None:
        return None
    content = [*_tensors_part("Inputs", feed.inputs), *_tensors_part("Outputs", feed.outputs)]
    if any(tensor.normalisation for tensor in feed.inputs):
        content.append(tag("p", _INSIDE, class_="muted small"))
    if feed.classes:
        content.append(tag("p", classes_text(feed.classes), class_="muted small"))
    return folded_card("How to feed it", tag("div", content))


def _tensors_part(
    heading: str, tensors: Sequence[FeedInput] | Sequence[FeedOutput]
) -> list[Markup]:
    """Return a table of the columns in which something is known, under its heading."""
    rows = [asdict(tensor) for tensor in tensors]
    if not rows:
        return []
    names = [name for name in rows[0] if any(row[name] is not None for row in rows)]
    names = [name for name in names if name != "normalisation"]  # a sentence says that
    cells = [[_value(name, row[name]) for name in names] for row in rows]
    headings = [f"{name} (inside)" if name in ("mean", "std") else name for name in names]
    return [tag("p", heading, class_="muted small"), data_table(heading, headings, cells)]


def _value(name: str, value: object) -> str:
    if isinstance(value, tuple):
        return (" × " if name == "shape" else ", ").join(_value("", part) for part in value)
    return "-" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


def stages_card(stages: Sequence[StageRun]) -> Markup | None:
    """Draw what was done and how long it took."""
    if not stages:
        return None
    most = max(stage.seconds for stage in stages) or 1
    rows = [
        bar_row(
            stage.name,
            bar(stage.seconds / most, "bad" if stage.status == "failed" else "before"),
            stage_time(stage),
        )
        for stage in stages
    ]
    return folded_card(f"The stages: {stages_time(stages)}", tag("div", rows))
