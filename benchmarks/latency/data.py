"""The models with a published time and a compiled table, as rows for the fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cache
from math import prod

import numpy as np
from numpy.typing import NDArray

from rockpress.convert.chips.compiler_log import Layer
from rockpress.convert.chips.targets import Target, find_target
from rockpress.convert.latency.coefficients import Coefficients
from rockpress.convert.latency.estimate import TAIL
from rockpress.convert.latency.work import Work, bytes_moved, is_lookup, works_of

from .board import CHIP, Run
from .joint import Array, Prior, Rows
from .records import CHIPS, Published, read_published, read_tables

TOOLKITS = ("2.3.2", "2.5.0")
NAMES = tuple(field.name for field in fields(Coefficients))
_OVERLAPPING = {"compute", "output", "activation", "moved", "broadcast"}


@dataclass(frozen=True)
class Form:
    """What the fit may choose besides the coefficients.

    ``reads_hidden``: reading happens at the same time as arithmetic, too. ``by_row``: every layer
    on the CPU costs a hand-over, wherever it is. ``one_class``: a product with a vector is charged
    as any other copy.
    """

    reads_hidden: bool = False
    by_row: bool = False
    one_class: bool = False

    @property
    def overlaps(self) -> NDArray[np.bool_]:
        """Which of the coefficients belong to what is done at the same time."""
        names = _OVERLAPPING | ({"read"} if self.reads_hidden else set())
        return np.array([name in names for name in NAMES])


@dataclass(frozen=True)
class Measured:
    """One model on one chip: what was published, and the compiler's table."""

    published: Published
    layers: tuple[Layer, ...]
    ms: float


@cache
def measured(chip: str, toolkit: str, built: str = "exact") -> tuple[Measured, ...]:
    """Return every model that was built that way, with its table by that toolkit or the other."""
    models = []
    for network in read_published():
        tables = [read_tables(network.model, version).get(chip) for version in _order(toolkit)]
        layers = next((table for table in tables if table), None)
        if network.built == built and layers:
            models.append(Measured(network, layers, 1000 / network.fps[chip]))
    return tuple(models)


def _order(toolkit: str) -> list[str]:
    return [toolkit, *(version for version in TOOLKITS if version != toolkit)]


def rows_of(models: Sequence[Measured], target: Target, form: Form) -> Rows:
    """Return what the estimate charges for, a network an owner."""
    works = [works_in(model.layers, target, form) for model in models]
    owner = [index for index, rows in enumerate(works) for _ in rows]
    flat = [work for rows in works for work in rows]
    ms = np.array([model.ms for model in models])
    return Rows(_columns(flat), _fixed(flat), np.array(owner, np.intp), ms)


def rows_of_run(run: Run, form: Form) -> Rows:
    """Return the same of layers timed one by one, a layer an owner."""
    works = works_in(run.layers, find_target(CHIP), form)
    ms = np.array(run.microseconds) / 1000
    return Rows(_columns(works), _fixed(works), np.arange(len(works)), ms)


def works_in(layers: Sequence[Layer], target: Target, form: Form) -> list[Work]:
    """Return the work of every layer, as a form has it."""
    works = list(works_of(layers, target))
    if form.one_class:
        works = [replace(w, moved=w.moved + w.broadcast, broadcast=0.0) for w in works]
    if form.by_row:
        works = [replace(w, handover=float(w.host > 0), tail=0.0) for w in works]
    return works


def _columns(works: Sequence[Work]) -> Array:
    return np.array([[float(getattr(work, name)) for name in NAMES] for work in works])


def _fixed(works: Sequence[Work]) -> Array:
    return np.array([TAIL * work.tail for work in works])


def sums_of(models: Sequence[Measured], columns: Sequence[str]) -> Array:
    """Return sums over each model, for the plainer estimates that the fit is compared with."""
    sums = [{**_sums(model.layers), "constant": 1.0} for model in models]
    return np.array([[values[name] for name in columns] for values in sums])


def _sums(layers: Sequence[Layer]) -> dict[str, float]:
    on_npu = [layer for layer in layers if layer.runs_on == "NPU" and not layer.is_boundary]
    lookups = [shape for layer in layers if is_lookup(layer) for shape in layer.output_shapes]
    return {
        "macs": sum(macs(layer) for layer in layers) / 1e9,
        "cycles": sum(layer.total_cycles for layer in layers) / 1e6,
        "lookups": sum(prod(shape) for shape in lookups) / 1e6,
        "moved": sum(bytes_moved(layer) for layer in on_npu if not layer.total_cycles) / 1e6,
        "layers": float(len(on_npu)),
    }


def macs(layer: Layer) -> int:
    """Multiply-accumulates, from the shapes.

    >>> shapes = ((1, 8, 4, 4), (1, 8, 3, 3)), ((1, 8, 4, 4),)
    >>> macs(Layer(1, "Conv", "INT8", "NPU", *shapes, 9, 9, 9, "depthwise"))
    1152
    """
    if len(layer.input_shapes) < 2 or not layer.output_shapes:
        return 0
    first, second = layer.input_shapes[:2]
    out = layer.output_shapes[0]
    if "exSDP" in layer.op:
        return first[0] * first[-1] * second[-1] * (first[1] + out[1])
    if "MatMul" in layer.op:
        return prod(out) * first[1]
    if "Conv" not in layer.op or len(second) != 4:
        return 0
    if "ConvTranspose" in layer.op:
        return prod(first) * prod(second[1:])
    depthwise = second[0] == 1 and out[1] > 1
    return prod(out) * (prod(second[2:]) if depthwise else prod(second[1:]))


# GB/s that reach one core: an RK3588 board moved 11.8 in a table of single layers, about 35 % of
# what its bus can; the others as their buses are.
_MEMORY = {"rk3588": 12.0, "rk3576": 9.3, "rk3562": 5.6, "rk3566": 3.3}
# Cycles of the NPU against 1 GHz: that of RK3566 runs at 0.9.
_SLOWER = {"rk3566": 1.1}


def prior() -> Prior:
    """Return where the fit starts from and is held to, out of tables measured on RK3588 boards.

    There a convolution took 1.1 times its cycles, an activation 0.52 ns an element, the writing of
    one 0.19, attention 3.7 a score, a copy 1.1 times what its bytes take at 12 GB/s and 1.2 times
    that with a vector. The other chips get the same, at their own memory, array and clock.
    """
    deviation = {
        "compute": 0.15,
        "output": 0.4,
        "activation": 0.3,
        "moved": 0.4,
        "broadcast": 0.25,
        "read": 0.4,
        "scores": 0.3,
    }
    centres = [_centre(chip) for chip in CHIPS]
    centre = np.array([[values[name] for name in NAMES] for values in centres])
    return Prior(centre, np.array([deviation.get(name, 0.7) for name in NAMES]))


def _centre(chip: str) -> dict[str, float]:
    slower = _SLOWER.get(chip, 1.0)
    element = 1024 / find_target(chip).int8_macs_per_cycle * slower
    megabyte = 1 / _MEMORY[chip]
    return {
        "compute": 1.1 * slower,
        "output": 0.19 * element,
        "activation": 0.52 * element,
        "moved": 1.1 * megabyte,
        "broadcast": 1.2,  # times the former
        "read": megabyte,
        "scores": 3.7 * element,
        "launch": 0.008,
        "host": 30.0,
        "handover": 0.15,
    }
