"""The results as Markdown: a row for each cell, rockpress beside each peer, and the memory."""

from __future__ import annotations

from collections.abc import Sequence

from .bootstrap import difference
from .methods import LITE0, MEMORY_COUNTS, MEMORY_METHODS, METHODS, NAMES, ORT, Cell
from .quantizing import Cost
from .results import Result, Results

_HEAD = (
    "model",
    "measured in",
    "method",
    "s",
    "CPU s",
    "peak MB",
    "build s",
    "cosine",
    "SQNR dB",
    "agree %",
    "sure %",
    "characters %",
    "size kB",
    "kcycles",
    "est. ms",
    "way",
)
_COMPARED = (
    "model",
    "measured in",
    "rockpress row",
    "peer",
    "less noise, dB",
    "95 %",
    "mean SQNR gain, dB",
    "95 %",
)


def print_cells(cells: Sequence[Cell], results: Results) -> None:
    """Print what was measured, model by model and place by place."""
    measured = [cell for cell in cells if cell.key in results]
    _print_head(_HEAD)
    for cell in sorted(measured, key=_order):
        print(f"| {' | '.join(_row(cell, results[cell.key]))} |")


def print_differences(
    cells: Sequence[Cell], results: Results, sources: dict[str, list[str]]
) -> None:
    """Print each rockpress row against each other method at the same place.

    ``sources`` says of each model what its test samples were made from.
    """
    measured = [cell for cell in cells if cell.key in results and results[cell.key].scores]
    measured = [cell for cell in measured if not cell.method.is_float]
    print()
    _print_head(_COMPARED)
    for ours in sorted((cell for cell in measured if cell.method.is_rockpress), key=_order):
        for peer in sorted(measured, key=_order):
            same = (ours.model, ours.runtime) == (peer.model, peer.runtime)
            if same and ours != peer and (not peer.method.is_rockpress or peer.method.is_int8):
                row = _compared(ours, peer, results, sources[ours.model])
                print(f"| {' | '.join(row)} |")


def print_memory(costs: dict[tuple[str, int], Cost]) -> None:
    """Print the peak memory of quantizing; ``costs`` is by method and number of images."""
    if not costs:
        return
    print(f"\npeak MB of quantizing {LITE0}\n")
    _print_head(("method", *(f"{count} images" for count in MEMORY_COUNTS)))
    for name in MEMORY_METHODS:
        peaks = [costs.get((name, count)) for count in MEMORY_COUNTS]
        texts = [f"{cost.peak_mb:.0f} ({cost.seconds:.0f} s)" if cost else "" for cost in peaks]
        print(f"| {' | '.join([name, *texts])} |")


def _print_head(names: Sequence[str]) -> None:
    print(f"| {' | '.join(names)} |\n|{'---|' * len(names)}")


def _order(cell: Cell) -> tuple[int, bool, str, int]:
    return NAMES.index(cell.model), cell.runtime == ORT, cell.runtime, METHODS.index(cell.method)


def _row(cell: Cell, result: Result) -> list[str]:
    start = [cell.model, cell.runtime, cell.method.name]
    cost, scores = result.cost, result.scores
    took = [f"{cost.seconds:.1f}", f"{cost.cpu_seconds:.1f}", f"{cost.peak_mb:.0f}"]
    took.append(f"{result.build_seconds:.1f}" if result.build_seconds else "")
    if scores is None:
        error = " ".join(result.error.split())[-60:].replace("|", "/")
        return [*start, *took, f"failed: {error}", *[""] * (len(_HEAD) - 8)]
    close = [f"{scores.cosine:.5f}", f"{scores.sqnr_db:.2f}", _share(scores.agreement)]
    parts = [_share(scores.sure_agreement), _share(scores.characters)]
    cycles = f"{result.cycles / 1000:.0f}" if result.cycles else ""
    ms = f"{result.ms:.2f}" if result.ms else ""
    return [*start, *took, *close, *parts, f"{result.size / 1000:.0f}", cycles, ms, result.way]


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"


def _compared(ours: Cell, peer: Cell, results: Results, sources: list[str]) -> list[str]:
    first, second = results[ours.key].scores, results[peer.key].scores
    assert first is not None and second is not None
    gap = difference(first.signal, first.noise, second.noise, sources)
    low, high = gap.total_interval
    least, most = gap.mean_interval
    start = [ours.model, ours.runtime, ours.method.name, peer.method.name]
    total = [f"{gap.total:+.2f}", f"{low:+.2f} to {high:+.2f}"]
    return [*start, *total, f"{gap.mean:+.2f}", f"{least:+.2f} to {most:+.2f}"]
