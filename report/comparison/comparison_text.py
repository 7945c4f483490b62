"""A comparison as tables and lines of text, for a terminal and for Markdown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ...core.percents import percent_range, percent_text
from ...core.results.model_figures import AccuracyFigure, RetentionFigure
from ..text.latency_text import AN_APPLICATION, LATENCY_KINDS, latency_cell
from ..text.similarity_text import agreement_text
from ..text.units import UNKNOWN, count_text, counted, memory_cell, number_text, size_text
from ..text.verdict import WORDS
from .compared_result import AgainstFirst, ComparedResult, LayerChange, SideBySide
from .side_by_side import is_same_model
from .tradeoff import traded

SHOWN_LAYERS = 10
_QUALITY = (
    "accuracy",
    "retention",
    "agreement",
    "verdict",
)  # a table of their own where one is too wide


@dataclass(frozen=True)
class ComparisonTable:
    """The headings and a row for each result."""

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def comparison_lines(comparison: SideBySide) -> list[str]:
    """Return what all have in common, and what each is against the first."""
    first, *others = comparison.results
    shared = list(_shared(comparison.results).values())
    # where the name is the same, that is said already
    names = {each.model for each in others} - {first.model}
    if names and all(is_same_model(first, each) for each in others):
        shared.insert(0, "made from one model")
    common = [f"all: {', '.join(shared)}"] if shared else []
    return [*common, *_metric_lines(comparison.results)]


def comparison_tables(comparison: SideBySide, *, narrow: bool = False) -> list[ComparisonTable]:
    """Return the table of the results, without the columns that tell nothing; ``narrow`` in two."""
    columns = _columns(comparison.results)
    if not narrow:
        return [_table(columns, list(columns))]
    costs = [name for name in columns if name not in _QUALITY]
    quality = [name for name in columns if name in ("result", *_QUALITY)]
    return [_table(columns, names) for names in (costs, quality) if len(names) > 1]


def against_lines(comparison: SideBySide) -> list[str]:
    """Return a line for each result but the first."""
    first = comparison.results[0].name
    return [
        f"{each.name} against {first}: {', '.join(parts)}"
        for each in comparison.against
        if (parts := _against_parts(each))
    ]


def front_lines(comparison: SideBySide) -> list[str]:
    """Return which results no other beats, where there is something to choose from."""
    if len(traded(comparison.results)) < 2:
        return []
    return [f"none is both faster and more accurate than: {', '.join(comparison.front)}"]


def layer_table(comparison: SideBySide, most: int | None = None) -> ComparisonTable | None:
    """Return the layers that changed, the dearest change first; None where none did."""
    if not comparison.layers:
        return None
    in_ms = any(layer.ms is not None for layer in comparison.layers)
    unit = "ms" if in_ms else "cycles"
    headings = ("layer", "operator", "format", "before", "after", f"change ({unit})")
    return ComparisonTable(
        headings, tuple(_layer_row(layer, in_ms) for layer in comparison.layers[:most])
    )


def layer_title(comparison: SideBySide) -> str:
    """Return what the table of the layers is of."""
    first, second = (result.name for result in comparison.results[:2])
    return f"{counted(len(comparison.layers), 'layer')} changed from {first} to {second}"


def _columns(results: Sequence[ComparedResult]) -> dict[str, list[str]]:
    """Return heading -> cells, of those columns that differ or say something."""
    columns = {name: [cell(result) for result in results] for name, cell in _CELLS.items()}
    shared = _shared(results)
    return {
        name: cells
        for name, cells in columns.items()
        if name == "result" or (name not in shared and set(cells) != {UNKNOWN})
    }


def _shared(results: Sequence[ComparedResult]) -> dict[str, str]:
    """Return those of model, target and scheme that all have in common."""
    pairs = {
        "model": {result.model for result in results},
        "target": {result.target or UNKNOWN for result in results},
        "scheme": {result.scheme or UNKNOWN for result in results},
    }
    return {
        name: next(iter(values))
        for name, values in pairs.items()
        if len(values) == 1 and values != {UNKNOWN}
    }


def _table(columns: dict[str, list[str]], names: Sequence[str]) -> ComparisonTable:
    cells = [columns[name] for name in names]
    return ComparisonTable(tuple(names), tuple(zip(*cells, strict=True)))


def _metric_lines(results: Sequence[ComparedResult]) -> list[str]:
    measured = [result.accuracy for result in results if result.accuracy is not None]
    kinds = {result.latency.kind for result in results if result.latency}
    lines = []
    if measured:
        metrics = ", ".join(
            dict.fromkeys(f"{each.metric} on {each.samples} samples" for each in measured)
        )
        lines.append(f"accuracy and retention: {metrics}, with the 95 % interval")
    if any(unlabelled_text(result.retention) != UNKNOWN for result in results):
        lines.append("agreement: with the original, without labels, with the 95 % interval")
    if kinds:
        words = ", ".join(LATENCY_KINDS[kind] for kind in LATENCY_KINDS if kind in kinds)
        lines.append(f"latency: {words}")
    if any(result.throughput for result in results):
        lines.append(f"fps: {AN_APPLICATION}; with one context and with one a core")
    return lines


def latency_text_of(result: ComparedResult) -> str:
    """Return the milliseconds with the ends of the band."""
    latency = result.latency
    return UNKNOWN if latency is None else latency_cell(latency)


def retention_text(figure: RetentionFigure | None) -> str:
    """Return what is left of the metric in per cent with the ends of its interval, or a dash."""
    if figure is None or figure.value is None:
        return UNKNOWN
    if figure.low is None or figure.high is None:
        return percent_text(figure.value)
    return f"{percent_text(figure.value)} ({percent_range(figure.low, figure.high)})"


def unlabelled_text(figure: RetentionFigure | None) -> str:
    """Return the agreement with the original and its interval, a dash where labels say more.

    >>> unlabelled_text(RetentionFigure(None, None, None, None, 12, 1.0, 30.0))
    '100.0% (75.8 to 100.0%)'
    """
    if figure is None or figure.metric is not None or figure.agreement is None:
        return UNKNOWN
    return agreement_text(figure.agreement, figure.samples)


def accuracy_text(figure: AccuracyFigure | None) -> str:
    """Return a value with the ends of its interval, or a dash.

    >>> accuracy_text(AccuracyFigure("top1", 0.9, 0.87, 0.92, 100, "onnxruntime"))
    '0.9000 (0.870-0.920)'
    """
    if figure is None:
        return UNKNOWN
    if figure.low is None or figure.high is None:
        return number_text(figure.value, ".4f")
    return f"{figure.value:.4f} ({figure.low:.3f}-{figure.high:.3f})"


def fps_text(result: ComparedResult) -> str:
    """Return the frames a second with one context, and with as many as the chip has cores."""
    rates = [rate.fps for rate in result.throughput]
    ends = dict.fromkeys(f"{rate:.{0 if rate >= 10 else 1}f}" for rate in (*rates[:1], *rates[-1:]))
    return " / ".join(ends) or UNKNOWN


def verdict_word(result: ComparedResult) -> str:
    """Return the verdict in a word."""
    return WORDS.get(result.verdict or "", UNKNOWN)


_CELLS: dict[str, Callable[[ComparedResult], str]] = {
    "result": lambda result: result.name,
    "model": lambda result: result.model,
    "target": lambda result: result.target or UNKNOWN,
    "scheme": lambda result: result.scheme or UNKNOWN,
    "size": lambda result: UNKNOWN if result.bytes is None else size_text(result.bytes),
    "params": lambda result: count_text(result.parameters),
    "memory": lambda result: memory_cell(result.memory),
    "latency": latency_text_of,
    "fps": fps_text,
    "accuracy": lambda result: accuracy_text(result.accuracy),
    "retention": lambda result: retention_text(result.retention),
    "agreement": lambda result: unlabelled_text(result.retention),
    "verdict": verdict_word,
}


def _against_parts(each: AgainstFirst) -> list[str]:
    parts = [f"size {each.size - 1:+.1%}"] if each.size is not None else []
    if each.latency is not None:
        parts.append(f"latency {each.latency - 1:+.1%}{_band(each)}")
    elif each.cycles is not None:
        parts.append(f"cycles {each.cycles - 1:+.1%}")
    if each.accuracy is not None:
        apart = " (not told apart)" if each.accuracy_told_apart is False else ""
        parts.append(f"accuracy {each.accuracy:+.4f}{apart}")
    if each.retention is not None:
        parts.append(f"retention {100 * each.retention:+.1f} points")
    return parts


def _band(each: AgainstFirst) -> str:
    if each.latency_low is None or each.latency_high is None:
        return ""
    band = f"90 %: {each.latency_low - 1:+.1%} to {each.latency_high - 1:+.1%}"
    return f" ({band})" if each.latency_told_apart else f" (not told apart, {band})"


def _layer_row(layer: LayerChange, in_ms: bool) -> tuple[str, ...]:
    if in_ms:
        before, after, change = layer.ms_before, layer.ms_after, layer.ms or 0.0
        costs = [UNKNOWN if ms is None else f"{ms:.3f}" for ms in (before, after)]
        costs.append(f"{change:+.3f}")
    else:
        costs = [count_text(layer.cycles_before), count_text(layer.cycles_after)]
        costs.append(f"{layer.cycles:+,}")
    return (layer.name, layer.op, _format_text(layer), *costs)


def _format_text(layer: LayerChange) -> str:
    """Return the number format before and after."""
    before, after = layer.dtype_before, layer.dtype_after
    if before is None or after is None:
        return f"{after}, new" if after else f"{before}, gone"
    return after if before == after else f"{before} to {after}"
