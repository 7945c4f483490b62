"""The curves as Markdown: a row for each point."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from .measuring import Result
from .methods import ORT, WHOLE, Cell
from .pairs import Pair, pairs_of
from .results import Results
from .scores import MEASURES, interval, is_share

_HEAD = (
    "model",
    "run in",
    "method",
    "asked",
    "predicted",
    "cycles",
    "MACs",
    "size",
    "score",
    "95 %",
    "of unpruned",
    "agreement of all",
    "CPU s",
)
_PAIR_HEAD = ("model", "run in", "cycles", "less", "its cycles", "difference", "95 %")


def print_curves(cells: Sequence[Cell], results: Results) -> None:
    """Print what was measured, model by model and place by place."""
    print(f"| {' | '.join(_HEAD)} |\n|{'---|' * len(_HEAD)}")
    for cell in cells:
        if cell.key in results:
            whole = results.get(replace(cell, method=WHOLE, share=0.0).key)
            print(f"| {' | '.join(row_of(cell, results[cell.key], whole))} |")


def print_pairs(cells: Sequence[Cell], results: Results) -> None:
    """Print how far apart the methods are at about the same cycles."""
    pairs = list(pairs_of(cells, results))
    if pairs:
        print(f"\n| {' | '.join(_PAIR_HEAD)} |\n|{'---|' * len(_PAIR_HEAD)}")
    for pair in pairs:
        print(f"| {' | '.join(pair_row(pair))} |")


def pair_row(pair: Pair) -> list[str]:
    """Return one row: runtime, our cycles, the other method, its cycles, and the difference."""
    runtime = _place(pair.cell)
    low, high = pair.interval
    ours, theirs = _change(pair.cycles), _change(pair.other_cycles)
    band = f"{low:+.3f} to {high:+.3f}"
    return [
        pair.cell.model,
        runtime,
        ours,
        pair.other.method,
        theirs,
        f"{pair.difference:+.3f}",
        band,
    ]


def _place(cell: Cell) -> str:
    return "ONNX Runtime" if cell.runtime == ORT else cell.runtime


def row_of(cell: Cell, result: Result, whole: Result | None) -> list[str]:
    """Return one row; percentages are differences to the unpruned model in that runtime."""
    start = [cell.model, _place(cell), cell.method]
    start.append("" if cell.method == WHOLE else f"{-cell.share:+.0%}")
    if result.score is None:
        error = " ".join(result.error.split())[:70].replace("|", "/")
        return [*start, f"failed: {error}", *[""] * (len(_HEAD) - 5)]
    is_whole = cell.method == WHOLE or whole is None or whole.score is None
    ratios = [_change(result.predicted), _against(result.cycles, whole.cycles if whole else 0)]
    ratios += [_change(result.macs), _against(result.size, whole.size if whole else 0)]
    low, high = interval(result.score, cell.test) if is_share(cell.model) else (0.0, 0.0)
    band = f"{low:.3f} to {high:.3f}" if high else MEASURES[cell.model]
    retention = (
        "" if is_whole or not whole or not whole.score else f"{result.score / whole.score:.3f}"
    )
    agreement = ""
    if result.agreement and not is_whole:
        low_all, high_all = interval(result.agreement, cell.test)
        agreement = f"{result.agreement:.3f} ({low_all:.3f} to {high_all:.3f})"
    took = f"{result.judged + result.cut:.0f}" if result.judged else ""
    return [
        *start,
        *([""] * 4 if is_whole else ratios),
        f"{result.score:.3f}",
        band,
        retention,
        agreement,
        took,
    ]


def _change(ratio: float) -> str:
    return f"{ratio - 1:+.1%}"


def _against(value: int, whole: int) -> str:
    return _change(value / whole) if value and whole else ""
