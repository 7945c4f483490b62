"""Compare the estimated speed-up of 2:4 sparse weights on rk3576 with the published one.

None of these speed-ups is in any fit. The published models' dense tables are turned into what the
compiler prints of sparse ones: the same cycles of arithmetic, and no traffic for the weights. From
the repository's root:

    python -m benchmarks.latency.sparse_pairs
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import exp, log, prod
from statistics import fmean, median

from rockpress.convert.chips.compiler_log import Layer
from rockpress.convert.chips.targets import Target, find_target
from rockpress.convert.latency.estimate import estimate

from .application_fit import read_rows
from .records import read_tables

_TOOLKIT = "2.3.2"
_OUTPUT_STEP, _LEAST_INPUTS = 16, 5  # what is recognised, see convert/chips/sparse_layers.py


@dataclass(frozen=True)
class SpeedUp:
    """Frames of the sparse model over those of the dense one."""

    model: str
    published: float
    estimated: float

    @property
    def error(self) -> float:
        """The factor by which the estimate is off, 1 or more."""
        return exp(abs(log(self.estimated / self.published)))


def speed_ups() -> Iterator[SpeedUp]:
    """Yield the published models that were compiled."""
    target = find_target("rk3576")
    for row in read_rows("sparse.csv"):
        layers = read_tables(row["model"], _TOOLKIT).get(target.name)
        if layers:
            sparse = [_sparse(layer, target) for layer in layers]
            estimated = _ms(layers, target) / _ms(sparse, target)
            published = float(row["sparse_fps"]) / float(row["fps"])
            yield SpeedUp(row["model"], published, estimated)


def _ms(layers: Sequence[Layer], target: Target) -> float:
    latency = estimate(layers, target, _TOOLKIT)
    assert latency is not None and latency.ms is not None
    return latency.ms


def _sparse(layer: Layer, target: Target) -> Layer:
    """The row that the compiler prints of the layer with 2:4 sparse weights."""
    if "Conv" not in layer.op or len(layer.input_shapes) < 2:
        return layer
    outputs, inputs = layer.input_shapes[1][:2]
    if outputs % _OUTPUT_STEP or inputs < _LEAST_INPUTS:
        return layer
    weights = prod(layer.input_shapes[1]) * target.ddr_cycles_per_kb / 1024
    return replace(layer, ddr_cycles=max(0, round(layer.ddr_cycles - weights)), sparse_ratio=0.5)


def main() -> int:
    """Print it."""
    pairs = list(speed_ups())
    for each in pairs:
        figures = f"{each.published:6.2f}{each.estimated:6.2f}{each.error:7.3f}"
        print(f"  {each.model:26}{figures}")
    errors = [each.error - 1 for each in pairs]
    summary = f"{fmean(errors):.1%}, median {median(errors):.1%}, worst {max(errors):.1%}"
    print(f"{len(errors)} models: mean {summary}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
