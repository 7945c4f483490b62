"""Outputs that join values of very different range: in int8 the small ones are lost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from onnx import NodeProto

from ...core.diagnostics import Diagnostic, option
from ...core.graphs.graph import constant_value
from ...core.graphs.joins import STEPS, is_starved, joined_tensors, joint_step, output_joins
from ...core.types import Range
from .audit_view import AuditView

_BOUNDED: dict[str, Range] = {
    **dict.fromkeys(("Sigmoid", "Softmax", "HardSigmoid", "Hardmax"), (0.0, 1.0)),
    **dict.fromkeys(("Tanh", "Softsign", "Erf", "Sin", "Cos"), (-1.0, 1.0)),
}
# the least stride of a detector's grid: what is multiplied by more is a position in pixels
_PIXELS = 8.0


@dataclass(frozen=True)
class JoinedTensor:
    """One tensor that a Concat takes: what its values reach, and whether all of that is known."""

    name: str
    low: float
    high: float
    exact: bool = True

    @property
    def span(self) -> float:
        """The width of its range."""
        return self.high - self.low

    def __str__(self) -> str:
        reach = f"{self.low:.4g} to {self.high:.4g}" if self.exact else f"scaled by {self.high:g}"
        return f"{self.name!r} ({reach})"


def join_warnings(view: AuditView) -> Iterator[Diagnostic]:
    """Warn of each join before an output in which a part gets fewer than 8 int8 steps."""
    for output, node in output_joins(view.graph).items():
        if view.quantized is None or node.output[0] in view.quantized:
            parts = {name: _part(view, name) for name in joined_tensors(view.graph, node)}
            yield from _judged(view, output, parts)


def _part(view: AuditView, name: str) -> JoinedTensor | None:
    source = view.source(name)
    node = view.graph.producers.get(source)
    if node is not None and node.op_type in _BOUNDED:
        # calibration may not have reached all of it
        return JoinedTensor(name, *_BOUNDED[node.op_type])
    measured = view.ranges.get(name, view.ranges.get(source))
    if measured is not None:
        return JoinedTensor(name, *measured)
    factor = _factor(view, node) if node is not None else 0.0
    return JoinedTensor(name, 0.0, factor, exact=False) if factor >= _PIXELS else None


def _factor(view: AuditView, node: NodeProto) -> float:
    """The largest constant that a Mul multiplies by; 0 for another node."""
    if node.op_type != "Mul":
        return 0.0
    constants = [constant_value(view.graph, node, position) for position in (0, 1)]
    return max((float(np.abs(c).max()) for c in constants if c is not None and c.size), default=0.0)


def _judged(
    view: AuditView, output: str, parts: dict[str, JoinedTensor | None]
) -> Iterator[Diagnostic]:
    measured = [part for part in parts.values() if part is not None]
    if len(measured) < 2:
        return
    # a part of unknown range can only make the common step larger
    step = joint_step((part.low, part.high) for part in measured)
    starved = [p for p in measured if p.exact and is_starved((p.low, p.high), step)]
    if not starved:
        return
    widest = max(measured, key=lambda part: part.span)
    worst = min(starved, key=lambda part: part.span)
    listed = ", ".join(str(part) for part in starved[:3])
    more = f" and {len(starved) - 3} more" if len(starved) > 3 else ""
    lost = "all its values become one" if worst.span < step else "little of it is left"
    computed = [name for name in parts if name in view.graph.producers]
    outputs = [
        end for name in view.graph.output_names for end in (computed if name == output else [name])
    ]
    yield Diagnostic(
        "output-range-join",
        f"the output {output!r} joins {listed}{more} with {widest}: in int8 they share one scale "
        f"of {STEPS} steps, and {worst.name!r} gets {worst.span / step:.1f} of them, so {lost}",
        f"end the model before the join with {option('outputs', list(dict.fromkeys(outputs)))}, "
        f"or divide {widest.name!r} by its largest value in the model",
        subject=output,
    )
