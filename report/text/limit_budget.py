"""Which budget of pruning a limit of latency or size asks for."""

from __future__ import annotations

import math
from collections.abc import Mapping

from ...core.results.report import GateFigure, TargetReport

# gates that pruning can meet, with the kind of its budget, and how much of it is worth trying
_KINDS, _MOST_PERCENT = {"max-latency-ms": "latency", "max-size-mb": "size"}, 60
_MEGABYTE = 1e6


def needed_budgets(target: TargetReport, asked: object = None) -> Mapping[str, str | None]:
    """Return the budget that each limit that does not hold asks for, by the name of its gate.

    It is over the unpruned model, as budgets are, and None where it is more than is worth trying.
    ``asked`` is the budget that the target was pruned to.
    """
    failed = [gate for gate in target.gates if gate.name in _KINDS and not gate.passed]
    return {
        gate.name: _budget(target, gate, str(asked)) for gate in failed if gate.value > gate.limit
    }


def _budget(target: TargetReport, gate: GateFigure, asked: str) -> str | None:
    kind = _KINDS[gate.name]
    left = _left_now(target, kind, asked) * _share_to_leave(target, gate)
    percent = math.ceil(100 * (1 - left))
    return f"{kind}=-{percent}%" if percent <= _MOST_PERCENT else None


def _left_now(target: TargetReport, kind: str, asked: str) -> float:
    """Return what pruning has left of the unpruned model, as it was asked for or came out."""
    figure = target.pruning
    if figure is None:
        return 1.0
    own_kind, _, percent = asked.partition("=-")
    if own_kind == kind and not figure.attempts:  # of those the budget was only the most
        return 1 - float(percent.removesuffix("%")) / 100
    ratio = figure.latency_ratio if kind == "latency" else figure.parameters_ratio
    return ratio or 1.0


def _share_to_leave(target: TargetReport, gate: GateFigure) -> float:
    """Return what the limit leaves of the result's time, or of the weights in its file.

    A weight takes one byte; the rest of a file, its commands and tables, is not pruned.
    """
    if _KINDS[gate.name] == "latency":
        return gate.limit / gate.value
    counts = [row.parameters for row in target.models if row.parameters]
    weights = min(counts[-1], gate.value * _MEGABYTE) if counts else gate.value * _MEGABYTE
    return 1 - (gate.value - gate.limit) * _MEGABYTE / weights
