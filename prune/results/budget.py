"""The budget of pruning: how much to save, and of which cost."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ...core.errors import OptionError
from ...core.graphs.layers import LayerShape

BUDGET_KINDS = ("cycles", "latency", "macs", "size")
_EXAMPLE = "for example cycles=-30%"


@dataclass(frozen=True)
class Budget:
    """The ``share`` to save of the unpruned model's cost in ``kind``, see BUDGET_KINDS."""

    kind: str
    share: float


def parse_budget(text: str) -> Budget:
    """Read a budget from text, such as cycles=-30%. Raises OptionError.

    >>> parse_budget("cycles=-30%")
    Budget(kind='cycles', share=0.3)
    """
    match = re.fullmatch(r"([a-z]+)=-(\d+(?:\.\d+)?)%", text.strip())
    if not match or match[1] not in BUDGET_KINDS:
        raise OptionError(
            f"the budget {text!r} is not of the form KIND=-N% with KIND one of "
            f"{', '.join(BUDGET_KINDS)}",
            _EXAMPLE,
        )
    share = float(match[2]) / 100
    if not 0 < share < 1:
        raise OptionError(f"the budget {text!r} must lie between 0 % and 100 %", _EXAMPLE)
    return Budget(match[1], share)


def macs_cost(layer: LayerShape) -> float:
    """Return the multiply-accumulates of a layer; 0 for a pooling."""
    return 0.0 if layer.op == "pool" else float(layer.macs)


def size_cost(layer: LayerShape) -> float:
    """Return the number of weights of a layer, which the size of a file follows."""
    inputs = 0 if layer.op == "pool" else layer.cin // layer.groups
    return float(layer.kernel_h * layer.kernel_w * layer.cout * inputs)
