"""What a model costs on a chip, as a table and a few lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .show import is_narrow, print_lines, print_table

if TYPE_CHECKING:
    from ..convert.chips.compiler_log import Layer
    from ..pipeline.analysis import Analysis

_NONE = "-"
_HEADINGS = ("layer", "op", "type", "on", "DDR\ncycles", "NPU\ncycles", "ms", "bound")
_WITH_BYTES = (*_HEADINGS, "weights", "reads")


def show_analysis(analysis: Analysis, top: int) -> None:
    """Print the ``top`` dearest layers in a table, their sums, and in words what it comes to."""
    from ..report.text.units import size_text

    with_sparse = any(layer.sparse_ratio for layer, _ in analysis.by_cost)
    rows = [
        (
            layer.name.partition(":")[2] or layer.name,
            layer.op,
            layer.dtype,
            layer.runs_on,
            f"{layer.ddr_cycles:,}",
            f"{layer.npu_cycles:,}",
            _NONE if cost.ms is None else f"{cost.ms:.3f}",
            cost.bound,
            size_text(layer.weight_bytes) if layer.weight_bytes else _NONE,
            size_text(layer.feature_bytes) if layer.feature_bytes else _NONE,
            *([_sparse(layer)] if with_sparse else []),
        )
        for layer, cost in analysis.by_cost
    ]
    title = f"{analysis.target}, {analysis.quantization}, rknn-toolkit2 {analysis.toolkit}"
    cycles, ms = analysis.cycles, analysis.latency.ms if analysis.latency else None
    total = (
        *("total", "", "", ""),
        f"{cycles['ddr']:,}",
        f"{cycles['npu']:,}",
        _NONE if ms is None else f"{ms:.3f}",
        "",
        size_text(analysis.memory.weight_bytes) if analysis.memory else _NONE,
        "",
        *([""] if with_sparse else []),
    )
    # where there is no room for them, the bytes of each layer and its sparse part are left out
    headings = _HEADINGS if is_narrow() else _WITH_BYTES + ("sparse",) * with_sparse
    print_table(title, headings, [row[: len(headings)] for row in (*rows[:top], total)])
    left = f"; the {len(rows) - top} cheaper ones: --top {len(rows)}" if len(rows) > top else ""
    print_lines(_summary(analysis, left))


def _sparse(layer: Layer) -> str:
    """Return what part of the weights the compiler leaves out, and along which of their axes."""
    return f"{layer.sparse_ratio:.0%} {layer.sparse_axis}" if layer.sparse_ratio else _NONE


def _summary(analysis: Analysis, left: str) -> list[str]:
    """Return the lines under the table: latency, memory, the CPU, what bounds the time."""
    from ..report.text.latency_text import build_lines, latency_text
    from ..report.text.units import memory_text, size_text

    figures = analysis.figures
    lines = [
        f"latency {latency_text(figures[0]) if figures else 'unknown'}; "
        f"{analysis.cycles['total']:,} cycles of one core",
        *build_lines(figures, analysis.throughput, {}),
    ]
    if analysis.memory:
        lines.append(f"{memory_text(analysis.memory)}; .rknn {size_text(analysis.bytes)}")
    lines.append(f"{analysis.on_cpu} of {len(analysis.by_cost)} layers on the CPU{left}")
    return [*lines, *build_lines((), (), analysis.shares)]
