"""How far single layers are off that were timed on a board, their model left out of the fit.

The published times of the model are left out too. A run's timing adds a few microseconds to every
layer, which differ by run: one number for each run is taken from its own layers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import minimize_scalar

from rockpress.convert.chips.compiler_log import Layer
from rockpress.convert.chips.targets import find_target

from .board import CHIP, runs
from .data import Form, measured, prior, rows_of, rows_of_run
from .joint import Array, Fit, Rows, fit, predict
from .records import CHIPS

_MOST_ADDED = 0.02  # ms


@dataclass(frozen=True)
class LayerErrors:
    """The layers of one kind in one run; ``sizes`` is the sum of |log(estimate / measured)|."""

    model: str
    kind: str
    layers: int
    measured_us: float
    estimated_us: float
    sizes: float


def by_operator(toolkit: str, form: Form) -> list[LayerErrors]:
    """Return the errors of every run, by operator."""
    return [row for index in range(len(runs())) for row in _of_run(index, toolkit, form)]


def _of_run(index: int, toolkit: str, form: Form) -> list[LayerErrors]:
    run = runs()[index]
    networks = []
    for chip in CHIPS:
        models = measured(chip, toolkit)
        others = [model for model in models if model.published.model != run.model]
        networks.append(rows_of(others, find_target(chip), form))
    timed = [rows_of_run(other, form) for other in runs() if other != run]
    fitting = fit(networks, timed, prior(), form.overlaps)
    rows = rows_of_run(run, form)
    return _grouped(run.model, run.layers, rows, timed_as(rows, fitting, form))


def timed_as(rows: Rows, fitting: Fit, form: Form) -> Array:
    """Return the ms of a run's layers as its timing would show them."""
    ms = fitting.scale * predict(rows, fitting.coefficients[CHIPS.index(CHIP)], form.overlaps)
    return ms + _added(ms, rows.ms)


def _added(ms: Array, timed: Array) -> float:
    def size(added: float) -> float:
        return float(np.abs(np.log((ms + added) / timed)).sum())

    return float(minimize_scalar(size, bounds=(0, _MOST_ADDED), method="bounded").x)


def _grouped(model: str, layers: Sequence[Layer], rows: Rows, ms: Array) -> list[LayerErrors]:
    kinds = np.array([kind_of(layer) for layer in layers])
    result = []
    for kind in sorted(set(kinds)):
        there = kinds == kind
        sizes = np.abs(np.log(ms[there] / rows.ms[there]))
        sums = 1000 * rows.ms[there].sum(), 1000 * ms[there].sum()
        result.append(LayerErrors(model, kind, int(there.sum()), *sums, sizes.sum()))
    return result


def kind_of(layer: Layer) -> str:
    """Return the operator; convolutions of images and depthwise ones are kinds of their own."""
    if "Conv" not in layer.op or len(layer.input_shapes) < 2:
        return layer.op
    if layer.input_shapes[0][1] <= 4:
        return f"{layer.op} of an image"
    depthwise = layer.input_shapes[1][0] == 1 < layer.output_shapes[0][1]
    return f"{layer.op} depthwise" if depthwise else layer.op


def write_layer_errors(rows: Sequence[LayerErrors], file: Path) -> None:
    """Write and print them."""
    lines = ["model,kind,layers,measured_us,estimated_us,sum_of_abs_log_error"]
    for row in rows:
        figures = f"{row.measured_us:.0f},{row.estimated_us:.0f},{row.sizes:.3f}"
        lines.append(f"{row.model},{row.kind},{row.layers},{figures}")
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\nlayers on a board, their model left out: estimate over measured, mean |log error|")
    for kind in sorted({row.kind for row in rows}):
        _print(kind, [row for row in rows if row.kind == kind])
    _print("all", rows)


def _print(kind: str, rows: Sequence[LayerErrors]) -> None:
    layers = sum(row.layers for row in rows)
    ratio = sum(row.estimated_us for row in rows) / sum(row.measured_us for row in rows)
    size = sum(row.sizes for row in rows) / layers
    print(f"  {kind:28}{layers:5}{ratio:7.2f}{size:8.3f}")
