"""What a model costs on a chip, as a table and a few lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .show import print_lines, print_table

if TYPE_CHECKING:
    from ..convert.chips.compiler_log import Layer
    from ..pipeline.analysis import Analysis

_NONE = "-"
_HEADINGS = ("layer", "op", "type", "on", "DDR", "NPU", "ms", "bound", "weights", "reads")


def show_analysis(found: Analysis, top: int) -> None:
    """The ``top`` dearest layers in a table, their sums, and in words what it comes to."""
    from ..report.text.units import size_text

    with_sparse = any(layer.sparse_ratio for layer, _ in found.by_cost)
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
        for layer, cost in found.by_cost
    ]
    title = f"{found.target}, {found.quantization}, rknn-toolkit2 {found.toolkit}"
    total: tuple[str, ...] = _total(found)
    if with_sparse:
        total = (*total, "")
    headings = (*_HEADINGS, "sparse") if with_sparse else _HEADINGS
    print_table(title, headings, [*rows[:top], total])
    left = f"; the {len(rows) - top} cheaper ones: --top {len(rows)}" if len(rows) > top else ""
    print_lines(_summary(found, left))


def _sparse(layer: Layer) -> str:
    """What part of the weights the compiler leaves out, and along which of their axes."""
    return f"{layer.sparse_ratio:.0%} {layer.sparse_axis}" if layer.sparse_ratio else _NONE


def _total(found: Analysis) -> tuple[str, ...]:
    from ..report.text.units import size_text

    cycles = found.cycles
    return (
        "total",
        "",
        "",
        "",
        f"{cycles['ddr']:,}",
        f"{cycles['npu']:,}",
        f"{found.latency.ms:.3f}" if found.latency and found.latency.ms is not None else _NONE,
        "",
        size_text(found.memory.weight_bytes) if found.memory else _NONE,
        "",
    )


def _summary(found: Analysis, left: str) -> list[str]:
    """The lines under the table: latency with its band, memory, the CPU, what bounds the time."""
    from ..core.results.model_figures import LatencyFigure
    from ..report.text.table import latency_text
    from ..report.text.units import size_text

    one = found.latency
    figure = LatencyFigure(one.kind, one.ms, one.low, one.high) if one else None
    lines = [
        f"latency {latency_text(figure) if figure else 'unknown'}; "
        f"{found.cycles['total']:,} cycles of one core"
    ]
    if found.memory:
        internal, weights = found.memory.internal_bytes, found.memory.weight_bytes
        lines.append(
            f"memory {size_text(internal)} for feature maps, {size_text(weights)} for weights; "
            f".rknn {size_text(found.bytes)}"
        )
    lines.append(f"{found.on_cpu} of {len(found.by_cost)} layers on the CPU{left}")
    shares = ", ".join(f"{bound} {share:.0%}" for bound, share in found.shares.items())
    return [*lines, f"time bound by {shares}"] if shares else lines
