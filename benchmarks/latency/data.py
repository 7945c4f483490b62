"""The models with a published time and a compiled table, as problems for the regression."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import prod

import numpy as np

from rockpress.convert.chips.compiler_log import Layer
from rockpress.convert.chips.targets import Target, find_target
from rockpress.convert.latency.work import Form, Work, bytes_moved, is_lookup, works_of

from .records import Published, read_published, read_tables
from .regression import Array, Problem

JOINED = ("compute", "traffic", "activation", "moved")
ADDED = ("launch", "host", "handover")


@dataclass(frozen=True)
class Measured:
    """One model on one chip: what was published, and the compiler's table."""

    published: Published
    layers: tuple[Layer, ...]
    ms: float


@cache
def measured(chip: str, built: str = "exact") -> tuple[Measured, ...]:
    """Every model that was built that way and compiled for the chip."""
    found = []
    for one in read_published():
        layers = read_tables(one.model).get(chip)
        if one.built == built and layers:
            found.append(Measured(one, layers, 1000 / one.fps[chip]))
    return tuple(found)


def problem_of(models: Sequence[Measured], target: Target, form: Form) -> Problem:
    """What the shipped estimate charges for, layer by layer."""
    works = [works_of(one.layers, target, form) for one in models]
    owner = [index for index, rows in enumerate(works) for _ in rows]
    joined = [_columns(work, JOINED) for rows in works for work in rows]
    added = [np.sum([_columns(work, ADDED) for work in rows], axis=0) for rows in works]
    ms = np.array([one.ms for one in models])
    return Problem(np.array(joined), np.array(owner, np.intp), np.array(added), ms)


def _columns(work: Work, names: Sequence[str]) -> list[float]:
    return [float(getattr(work, name)) for name in names]


def plain_problem(models: Sequence[Measured], columns: Sequence[str]) -> Problem:
    """Sums over the model only, for the plainer estimates that the other one is compared with."""
    sums = [{**_sums(one.layers), "one": 1.0} for one in models]
    added: Array = np.array([[one[name] for name in columns] for one in sums])
    ms = np.array([one.ms for one in models])
    return Problem(np.zeros((0, 0)), np.zeros(0, np.intp), added, ms)


def _sums(layers: Sequence[Layer]) -> dict[str, float]:
    on_npu = [one for one in layers if one.runs_on == "NPU" and not one.is_boundary]
    lookups = [shape for one in layers if is_lookup(one) for shape in one.output_shapes]
    return {
        "macs": sum(macs(one) for one in layers) / 1e9,
        "cycles": sum(one.total_cycles for one in layers) / 1e6,
        "lookups": sum(prod(shape) for shape in lookups) / 1e6,
        "moved": sum(bytes_moved(one) for one in on_npu if not one.total_cycles) / 1e6,
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


# DDR transfers in MHz and bytes of the bus: the first from rknn_model_zoo's scaling_frequency.sh,
# the second from the data sheets.
_MEMORY = {"rk3588": (4224, 8), "rk3576": (4224, 4), "rk3562": (3120, 4), "rk3566": (2112, 4)}


def prior(chip: str) -> Array:
    """Where the fit starts from and is held to, out of one table measured on an RK3588 board.

    There (YOLOv8n, 1920x1088) convolutions took 1.12 times the cycles of arithmetic, an activation
    0.6 ns an element at 1024 multiply-accumulates a cycle, and memory moved at 11.8 GB/s, 35 % of
    what the bus can. The other chips get the same, at their own bus and array. A launch is set to
    10 us, an element on the CPU to 30 ns, a hand-over to the CPU to 0.1 ms.
    """
    target = find_target(chip)
    megahertz, width = _MEMORY[chip]
    bandwidth = 0.35 * megahertz * width / 1000  # GB/s, or bytes a ns
    assumed = 1024 / target.ddr_cycles_per_kb  # bytes a cycle, in the compiler's table
    activation = 0.6 * 1024 / target.int8_macs_per_cycle
    return np.array([1.12, assumed / bandwidth, activation, 1 / bandwidth, 0.01, 30.0, 0.1])
