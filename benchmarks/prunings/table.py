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
    "divergence",
    "plan",
    "CPU s",
)
_CHIP_HEAD = (
    "model",
    "run in",
    "method",
    "pruned for",
    "asked",
    "time saved on",
    "score",
    "agreement of all",
    "divergence",
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


def print_chips(cells: Sequence[Cell], results: Results) -> None:
    """Print what the plans for each chip save on each of them."""
    timed = [cell for cell in cells if cell.key in results and results[cell.key].times]
    if timed:
        print(f"\n| {' | '.join(_CHIP_HEAD)} |\n|{'---|' * len(_CHIP_HEAD)}")
    for cell in timed:
        print(f"| {' | '.join(chip_row(cell, results[cell.key]))} |")


def chip_row(cell: Cell, result: Result) -> list[str]:
    """Return one row: the chip that the model is pruned for, and what it saves on all of them."""
    saved = ", ".join(f"{chip} {_change(ratio)}" for chip, ratio in result.times.items())
    return [
        cell.model,
        _place(cell),
        cell.method,
        cell.chip,
        f"{cell.budget} {-cell.share:+.0%}",
        saved,
        "" if result.score is None else f"{result.score:.3f}",
        f"{result.agreement:.3f}" if result.agreement else "",
        f"{result.divergence:.4f}",
    ]


def _place(cell: Cell) -> str:
    return "ONNX Runtime" if cell.runtime == ORT else cell.runtime


def row_of(cell: Cell, result: Result, whole: Result | None) -> list[str]:
    """Return one row; percentages are differences to the unpruned model in that runtime."""
    start = [cell.model, _place(cell), cell.method]
    start.append("" if cell.method == WHOLE else _asked(cell))
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
        "" if is_whole else f"{result.divergence:.4f}",
        next(iter(result.plans), ""),
        took,
    ]


def _asked(cell: Cell) -> str:
    return " ".join(part for part in (f"{-cell.share:+.0%}", cell.cut) if part)


def _change(ratio: float) -> str:
    return f"{ratio - 1:+.1%}"


def _against(value: int, whole: int) -> str:
    return _change(value / whole) if value and whole else ""
