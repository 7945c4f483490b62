"""What a point will cost before anything is built: the first rung of a search."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from onnx import ModelProto

from ...convert.chips.targets import Target
from ...core.graphs.model import parameter_count
from ...core.results.tune_report import Setting
from ...prune.results.budget import parse_budget
from ...quantize.choices.names import bits_of
from ...quantize.mixing.mixed_budget import parse_mixed
from ...quantize.schemes import find_scheme
from ..tasks.predicted_time import predicted_ms
from .points import Point


@dataclass
class PredictedCost:
    """Predicts ms or bytes of points: of the whole model in a number format, times the budgets.

    A budget of another kind than the cost, and what mixed precision takes without being asked,
    count as nothing, so that a point is never set aside for what it might not cost. ``sized`` gives
    the model in another size of its input.
    """

    model: ModelProto
    target: Target
    goal: str
    sized: Callable[[Setting], ModelProto] | None = None
    _wholes: dict[tuple[str, Setting], float] = field(default_factory=dict)

    def __call__(self, point: Point, scheme: str) -> float:
        """Return the least that a point can be expected to cost in a number format."""
        key = scheme, point["size"]
        if key not in self._wholes:
            self._wholes[key] = self._whole(*key)
        return self._wholes[key] * self._kept(point) * self._added(point)

    def _whole(self, scheme: str, size: Setting) -> float:
        if self.goal == "latency":
            model = self.model if size is None or self.sized is None else self.sized(size)
            return predicted_ms(self.target, find_scheme(scheme).layer_dtype)(model)
        weight_bits, _ = bits_of(scheme) or (16, 16)
        return parameter_count(self.model) * weight_bits / 8

    def _kept(self, point: Point) -> float:
        """Return the share that pruning leaves; cycles are taken for time."""
        if not isinstance(text := point["prune"], str):
            return 1.0
        budget = parse_budget(text)
        kinds = ("latency", "cycles") if self.goal == "latency" else ("size",)
        return 1 - budget.share if budget.kind in kinds else 1.0

    def _added(self, point: Point) -> float:
        text = point["mixed"]
        if not isinstance(text, str) or text in ("auto", "off") or self.goal != "latency":
            return 1.0
        budget = parse_mixed(text)
        return 1 + budget.value if budget.kind in ("latency", "cycles") else 1.0
