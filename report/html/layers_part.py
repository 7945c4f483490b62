"""Where the milliseconds go: the HTML report's layers, slowest first, the long tail folded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...core.results.layer_rows import LayerRow, LayerTime
from ...core.results.report import TargetReport
from ...core.types import Shape
from ..text.units import count_text
from .charts import bar
from .elements import card, folded, layer_row, legend
from .graph_part import plain_name
from .markup import Markup

_SHOWN = 12
_NOTICED = 0.01  # of the whole: a layer that lost less is not told of


@dataclass(frozen=True)
class _Unit:
    """What is drawn: milliseconds where the chip has an estimate, else cycles."""

    in_ms: bool
    total: float = 0.0

    def of(self, layer: LayerRow | LayerTime) -> float:
        """Return what a layer takes."""
        return (layer.ms or 0) if self.in_ms else layer.total_cycles

    def plain(self, value: float) -> str:
        """Return a value in words."""
        return f"{value:.3f} ms" if self.in_ms else f"{count_text(round(value))} cycles"

    def text(self, value: float) -> str:
        """Return a value and its share of the total."""
        amount = f"{value:.3f} ms" if self.in_ms else count_text(round(value))
        return f"{amount}, {value / self.total:.1%}"


def layers_card(target: TargetReport) -> Markup | None:
    """Draw every layer that takes time, as bars, with what it was before where that is known."""
    unit = _Unit(any(layer.ms is not None for layer in target.layers))
    timed = [layer for layer in target.layers if unit.of(layer) > 0]
    if not timed:
        return None
    timed.sort(key=lambda layer: -unit.of(layer))
    before = {plain_name(layer.name): unit.of(layer) for layer in target.reference_layers}
    unit = _Unit(unit.in_ms, sum(map(unit.of, timed)))
    most = max([unit.of(timed[0]), *before.values()])
    rows = [_row(layer, unit, most, before) for layer in timed]
    title = "Where the milliseconds go" if unit.in_ms else "Where the cycles go"
    note = _bounds(timed, unit)
    if before:
        note += _slower(timed, unit, before)
        note += f" All layers of the original model take {unit.plain(sum(before.values()))}."
    colours = _colours(timed, bool(before))
    return card(title, colours, *rows[:_SHOWN], _tail(timed, rows, unit), note=note)


def _colours(timed: Sequence[LayerRow], has_before: bool) -> Markup | None:
    """Return what the colours mean, where there are several."""
    on_cpu = any(layer.runs_on == "CPU" for layer in timed)
    entries = [("before", "the original model, compiled as it is")] if has_before else []
    entries.append(("after", "the result"))
    if on_cpu:
        entries.append(("cpu", "on the CPU"))
    return legend(*entries) if len(entries) > 1 else None


def _row(layer: LayerRow, unit: _Unit, most: float, before: dict[str, float]) -> Markup:
    value = unit.of(layer)
    drawn = [bar(value / most, "cpu" if layer.runs_on == "CPU" else "after")]
    earlier = before.get(plain_name(layer.name))
    if earlier is not None:
        drawn.insert(0, bar(earlier / most, "before"))
    about = [layer.op, _shape(layer.output_shapes), layer.dtype.lower()]
    if layer.bound:
        about.append(f"bound by {_bound(layer.bound)}")
    if layer.sparse_ratio:
        about.append(f"{layer.sparse_ratio:.0%} of its weights left out (2:4)")
    if earlier is not None:
        about.append(f"{unit.plain(earlier)} before")
    name = layer.name.partition(":")[2] or layer.name
    return layer_row(name, " · ".join(filter(None, about)), drawn, unit.text(value))


def _slower(timed: Sequence[LayerRow], unit: _Unit, before: dict[str, float]) -> str:
    """Return which layers take more than they did, the one that lost most first."""
    changes = [
        (unit.of(layer) - before[plain_name(layer.name)], layer.name.partition(":")[2])
        for layer in timed
        if plain_name(layer.name) in before
    ]
    slower = [pair for pair in changes if pair[0] > _NOTICED * unit.total]
    if not slower:
        return ""
    lost, name = max(slower)
    layers = "1 layer takes" if len(slower) == 1 else f"{len(slower)} layers take"
    return f" {layers} more than before, most {name}: {unit.plain(lost)} more."


def _shape(shapes: Sequence[Shape]) -> str:
    return "×".join(map(str, shapes[0])) if shapes else ""


def _tail(timed: Sequence[LayerRow], rows: Sequence[Markup], unit: _Unit) -> Markup | None:
    rest = timed[_SHOWN:]
    if not rest:
        return None
    together = unit.text(sum(map(unit.of, rest)))
    many = "the other layer" if len(rest) == 1 else f"the other {len(rest)} layers"
    return folded(f"{many}: {together}", rows[_SHOWN:], rows=len(rest))


def _bound(name: str) -> str:
    return "the CPU" if name == "cpu" else name


def _bounds(timed: Sequence[LayerRow], unit: _Unit) -> str:
    """Return what most of the time is bound by, such as "compute 61 %, memory 30 %"."""
    sums: dict[str, float] = {}
    for layer in timed:
        if layer.bound:
            sums[layer.bound] = sums.get(layer.bound, 0.0) + unit.of(layer)
    ordered = sorted(sums.items(), key=lambda pair: -pair[1])
    shares = ", ".join(f"{_bound(name)} {value / unit.total:.0%}" for name, value in ordered)
    return f"By what bounds a layer: {shares}." if shares else ""
