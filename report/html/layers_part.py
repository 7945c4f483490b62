"""Where the milliseconds go: the HTML report's layers, slowest first, the long tail folded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..text.units import count_text
from .charts import bar
from .elements import card, folded, layer_row, legend
from .markup import Markup

_SHOWN = 12


@dataclass(frozen=True)
class _Unit:
    """What is drawn: milliseconds where the chip has an estimate, else cycles."""

    key: str
    total: float

    def plain(self, value: float) -> str:
        return f"{value:.3f} ms" if self.key == "ms" else f"{count_text(round(value))} cycles"

    def text(self, value: float) -> str:
        shown = f"{value:.3f} ms" if self.key == "ms" else count_text(round(value))
        return f"{shown}, {value / self.total:.1%}"


def layers_card(target: dict[str, Any]) -> Markup | None:
    """Every layer that takes time, as bars, with what it was before where that is known."""
    layers = target.get("layers") or []
    key = "ms" if any(one.get("ms") is not None for one in layers) else "total_cycles"
    timed = [one for one in layers if (one.get(key) or 0) > 0]
    if not timed:
        return None
    timed.sort(key=lambda one: -one[key])
    known = target.get("reference_layers") or []
    before = {_tensor(one["name"]): one.get(key) or 0 for one in known}
    unit = _Unit(key, sum(one[key] for one in timed))
    most = max([timed[0][key], *before.values()])
    rows = [_row(one, unit, most, before) for one in timed]
    title = "Where the milliseconds go" if key == "ms" else "Where the cycles go"
    note = _bounds(timed, unit)
    if before:
        note += f" All layers of the original model take {unit.plain(sum(before.values()))}."
    colours = _colours(timed, bool(before))
    return card(title, colours, *rows[:_SHOWN], _tail(timed, rows, unit), note=note)


def _colours(timed: Sequence[dict[str, Any]], has_before: bool) -> Markup | None:
    """What the colours mean, where there are several."""
    on_cpu = any(one.get("runs_on") == "CPU" for one in timed)
    entries = [("before", "the original model, compiled as it is")] if has_before else []
    entries.append(("after", "the result"))
    if on_cpu:
        entries.append(("cpu", "on the CPU"))
    return legend(*entries) if len(entries) > 1 else None


def _row(layer: dict[str, Any], unit: _Unit, most: float, before: dict[str, float]) -> Markup:
    value = layer[unit.key]
    drawn = [bar(value / most, "cpu" if layer.get("runs_on") == "CPU" else "after")]
    if _tensor(layer["name"]) in before:
        drawn.insert(0, bar(before[_tensor(layer["name"])] / most, "before"))
    about = [layer["op"], _shape(layer.get("output_shapes")), layer.get("dtype", "").lower()]
    bound = layer.get("bound")
    if bound:
        about.append(f"bound by {_bound(bound)}")
    if layer.get("sparse_ratio"):
        about.append(f"{layer['sparse_ratio']:.0%} of its weights left out (2:4)")
    name = layer["name"].partition(":")[2] or layer["name"]
    return layer_row(name, " · ".join(one for one in about if one), drawn, unit.text(value))


def _tensor(name: str) -> str:
    """The name without what the quantized form of the model adds to a tensor left in float."""
    return name.replace(".float", "")


def _shape(shapes: Any) -> str:
    return "×".join(map(str, shapes[0])) if shapes else ""


def _tail(timed: Sequence[dict[str, Any]], rows: Sequence[Markup], unit: _Unit) -> Markup | None:
    rest = timed[_SHOWN:]
    if not rest:
        return None
    together = unit.text(sum(one[unit.key] for one in rest))
    many = "the other layer" if len(rest) == 1 else f"the other {len(rest)} layers"
    return folded(f"{many}: {together}", rows[_SHOWN:])


def _bound(name: str) -> str:
    return "the CPU" if name == "cpu" else name


def _bounds(timed: Sequence[dict[str, Any]], unit: _Unit) -> str:
    """What most of the time is bound by, such as "compute 61 %, memory 30 %"."""
    sums: dict[str, float] = {}
    for one in timed:
        if one.get("bound"):
            sums[one["bound"]] = sums.get(one["bound"], 0.0) + one[unit.key]
    ordered = sorted(sums.items(), key=lambda one: -one[1])
    told = ", ".join(f"{_bound(name)} {value / unit.total:.0%}" for name, value in ordered)
    return f"By what bounds a layer: {told}." if told else ""
