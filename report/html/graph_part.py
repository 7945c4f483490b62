"""The model's graph on the HTML report: what became one layer, where it runs, what it costs.

A table says all of it; where scripts run, the same is drawn from the inert JSON beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

from ...core.results.graph_rows import GraphNode
from ...core.results.layer_rows import LayerRow
from ...core.results.report import TargetReport
from ..text.units import counted, number_text
from .elements import card, data_table, folded
from .graph_layout import layered
from .markup import Markup, inert_json, short_text, tag

_HINT = (
    "Drag to move it, and zoom with the buttons, with two fingers, or with Ctrl and the wheel. "
    "With keys: arrows go from layer to layer, + and − zoom, 0 shows all, Shift and an arrow moves."
)
_ENDS = ("Input", "Output")
_COLOURS = (("time", "time"), ("noise", "SQNR"), ("format", "number format"))


@dataclass(frozen=True)
class _GraphRow:
    """A node with what its rows in the layer table say of it, the dearest first."""

    node: GraphNode
    layers: Sequence[LayerRow]
    in_ms: bool
    before: float | None

    @property
    def cost(self) -> float | None:
        """Milliseconds of all its rows, or cycles where the chip has no estimate."""
        return sum(map(self.cost_of, self.layers)) if self.layers else None

    def cost_of(self, layer: LayerRow) -> float:
        """Return what one of its rows takes."""
        return (layer.ms or 0) if self.in_ms else layer.total_cycles

    @property
    def kind(self) -> str:
        """Its number format, or CPU, as most of its time."""
        if self.node.op in _ENDS:
            return "input or output"
        if not self.layers:
            return "in another layer"
        layer = max(self.layers, key=self.cost_of)
        return "CPU" if layer.runs_on == "CPU" else layer.dtype.lower()

    @property
    def about(self) -> str:
        """The rows of the table in words."""
        rows = (f"{row.op} {row.dtype.lower()} on the {row.runs_on}" for row in self.layers)
        return "; ".join(rows) or "no row of its own"


def graph_card(target: TargetReport, number: int) -> Markup | None:
    """Draw the graph of a target, ``number`` among all; None where the report has none."""
    if not target.graph:
        return None
    rows = _graph_rows(target)
    in_ms = any(layer.ms is not None for layer in target.layers)
    inner = sum(row.node.op not in _ENDS for row in rows)
    joined = sum(max(len(row.node.operators), 1) - 1 for row in rows)
    text = f"{counted(inner, 'layer')}; {counted(joined, 'operator')} joined to others."
    return card(
        "The graph",
        tag("p", text, class_="muted small"),
        inert_json(_drawing(rows, "ms" if in_ms else "cycles"), class_="graph-data"),
        _figure(number, text),
        folded("as a table", _table(rows, "ms" if in_ms else "cycles"), rows=len(rows)),
    )


def _graph_rows(target: TargetReport) -> list[_GraphRow]:
    layers = {layer.index: layer for layer in target.layers}
    in_ms = any(layer.ms is not None for layer in target.layers)
    before = {
        plain_name(layer.name): (layer.ms if in_ms else layer.total_cycles) or 0
        for layer in target.reference_layers
    }
    rows = []
    for node in target.graph:
        own = [layers[index] for index in node.layers if index in layers]
        names = [plain_name(layer.name) for layer in own]
        costs = [before[name] for name in names if name in before]
        rows.append(_GraphRow(node, own, in_ms, sum(costs) if costs else None))
    return rows


def plain_name(name: str) -> str:
    """Return a row's name without what the quantized form adds to a tensor left in float."""
    return name.replace(".float", "")


def _drawing(rows: Sequence[_GraphRow], unit: str) -> Mapping[str, object]:
    """Return what the script draws: columns of the nodes, and edges with their bends."""
    layout = layered([row.node.inputs for row in rows])
    kinds = list(dict.fromkeys(row.kind for row in rows))
    return {
        "unit": unit,
        "kinds": [short_text(kind) for kind in kinds],
        "x": [round(place, 2) for place in layout.places],
        "layer": layout.layers,
        "name": [short_text(row.node.name) for row in rows],
        "op": [short_text(row.node.op) for row in rows],
        "joins": [short_text(", ".join(row.node.operators)) for row in rows],
        "about": [short_text(row.about) for row in rows],
        "time": [_rounded(row.cost) for row in rows],
        "before": [_rounded(row.before) for row in rows],
        "noise": [_rounded(row.node.sqnr_db) for row in rows],
        "kind": [kinds.index(row.kind) for row in rows],
        "edges": [
            [read, reader, *(round(bend, 2) for bend in bends)]
            for read, reader, bends in layout.edges
        ],
    }


def _rounded(value: float | None) -> float | None:
    return float(f"{value:.3g}") if value is not None and isfinite(value) else None


def _figure(number: int, text: str) -> Markup:
    """Return what the script fills; without one it is not seen."""
    options = (tag("option", words, value=value) for value, words in _COLOURS)
    buttons = (
        tag("button", sign, type="button", value=do, aria_label=words)
        for sign, do, words in (
            ("+", "in", "zoom in"),
            ("−", "out", "zoom out"),
            ("all", "all", "show all of the graph"),
        )
    )
    controls = tag(
        "div",
        tag("label", "Colour by ", tag("select", options)),
        tag("label", "Find ", tag("input", type="search", autocomplete="off")),
        tag("span", buttons),
        class_="controls",
    )
    drawing = tag(
        "canvas",
        tabindex=0,
        role="application",
        aria_label=f"The graph: {text}",
        aria_describedby=f"graph-hint-{number}",
    )
    return tag(
        "figure",
        controls,
        tag("div", class_="legend muted small"),
        drawing,
        tag("output", aria_live="polite"),
        tag("p", _HINT, class_="muted small", id=f"graph-hint-{number}"),
        class_="graph",
        hidden="",
    )


def _table(rows: Sequence[_GraphRow], unit: str) -> Markup:
    cells = [
        [
            str(index),
            row.node.name,
            row.node.op,
            ", ".join(row.node.operators),
            ", ".join(map(str, row.node.inputs)),
            row.about,
            number_text(row.before, ".4g"),
            number_text(row.cost, ".4g"),
            number_text(row.node.sqnr_db, ".1f"),
        ]
        for index, row in enumerate(rows)
    ]
    headings = (
        *("place", "name", "layer", "operators", "reads", "runs as"),
        *(f"original, {unit}", f"result, {unit}", "SQNR, dB"),
    )
    return data_table("The graph", headings, cells, numbers=3)
