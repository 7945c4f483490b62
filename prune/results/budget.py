"""The budget of pruning: how much to save, and of which cost."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ...core.diagnostics import option
from ...core.errors import OptionError
from ...core.graphs.layers import LayerShape
from ...core.suggestions import meant_number, meant_word

BUDGET_KINDS = ("cycles", "latency", "macs", "size")
_FORM = re.compile(r"([a-z]+)=-(\d+(?:\.\d+)?)%")
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
    match = _FORM.fullmatch(text.strip())
    if not match or match[1] not in BUDGET_KINDS:
        raise OptionError(
            f"the budget {text!r} is not of the form KIND=-N% with KIND one of "
            f"{', '.join(BUDGET_KINDS)}",
            _meant(text),
        )
    share = float(match[2]) / 100
    if not 0 < share < 1:
        raise OptionError(f"the budget {text!r} must lie between 0 % and 100 %", _EXAMPLE)
    return Budget(match[1], share)


def _meant(text: str) -> str:
    """Return the hint: a share without a kind, a sign or the sign of per cent is understood."""
    kind, _, share = text.replace(" ", "").rpartition("=")
    number = meant_number(share.lstrip("+-"))
    kind = meant_word(kind or BUDGET_KINDS[0], BUDGET_KINDS)
    if number is None or not kind or not 0 < number < 100:
        return _EXAMPLE
    percent = 100 * number if number < 1 else number
    return f"did you mean {option('prune', f'{kind}=-{percent:g}%')}?"


def macs_cost(layer: LayerShape) -> float:
    """Return the multiply-accumulates of a layer; 0 for a pooling."""
    return 0.0 if layer.op == "pool" else float(layer.macs)


def size_cost(layer: LayerShape) -> float:
    """Return the number of weights of a layer, which the size of a file follows."""
    inputs = 0 if layer.op == "pool" else layer.cin // layer.groups
    return float(layer.kernel_h * layer.kernel_w * layer.cout * inputs)
