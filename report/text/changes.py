"""What changed since the report of an earlier run: pure functions on its document."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ...core.diagnostics import option
from ...core.errors import OptionError
from ...core.results import ChangeFigure, GateFigure, LatencyFigure, TargetReport
from .units import count_text, size_text

# The names of --max-regression, and whether more of it is better.
MORE_IS_BETTER = {"size": False, "cycles": False, "latency": False, "retention": True}
# 1100 is 10 % above 1000, which the nearest floating-point numbers do not quite say.
_ROUNDING = 1e-9


def changes_since(before: Mapping[str, Any], now: TargetReport) -> tuple[ChangeFigure, ...]:
    """Every figure of the result that both know; ``before`` is a target of an old document.

    A latency measured on the host is no figure of the result, so it is not compared.
    """
    old, new = old_figures(before), _figures(now)
    return tuple(
        ChangeFigure(name, old[name], new[name], new[name] / old[name] - 1)
        for name in MORE_IS_BETTER
        if name in old and name in new
    )


def old_figures(target: Mapping[str, Any]) -> dict[str, float]:
    """The figures of a target's result in a document that anybody may have written.

    >>> old_figures({"models": [{"bytes": 100}], "retention": {"value": None}})
    {'size': 100.0}
    """
    models = target.get("models")
    result = models[-1] if isinstance(models, list) and models else {}
    latency = result.get("latency") if isinstance(result, dict) else None
    estimate = latency[0] if isinstance(latency, list) and latency else {}
    host = not isinstance(estimate, dict) or estimate.get("kind") == "host"
    retention = target.get("retention")
    found = {
        "size": result.get("bytes") if isinstance(result, dict) else None,
        "cycles": None if host else estimate.get("cycles"),
        "latency": None if host else estimate.get("ms"),
        "retention": retention.get("value") if isinstance(retention, dict) else None,
    }
    return _known(found)


def _figures(target: TargetReport) -> dict[str, float]:
    if not target.models:
        return {}
    result = target.models[-1]
    latency = result.latency[0] if result.latency else LatencyFigure("host", None)
    found = {
        "size": result.bytes,
        "cycles": result.cycles,
        "latency": None if latency.kind == "host" else latency.ms,
        "retention": target.retention.value,
    }
    return _known(found)


def _known(found: Mapping[str, Any]) -> dict[str, float]:
    """Those that are numbers above 0; True is none."""
    numbers = {name: float(one) for name, one in found.items() if type(one) in (int, float)}
    return {name: one for name, one in numbers.items() if 0 < one < math.inf}


def worse_by(change: ChangeFigure) -> float:
    """How much worse it is than before, as a part of what was; negative when it is better.

    >>> worse_by(ChangeFigure("retention", 1.0, 0.75, -0.25))
    0.25
    """
    return -change.change if MORE_IS_BETTER[change.name] else change.change


def regression_gates(
    changes: tuple[ChangeFigure, ...], limits: Mapping[str, float]
) -> tuple[GateFigure, ...]:
    """A gate for each limit, a part of the old value. Raises OptionError for one without figure.

    >>> regression_gates((ChangeFigure("cycles", 100, 103, 0.03),), {"cycles": 0.02})
    (GateFigure(name='max-regression-cycles', limit=0.02, value=0.03, passed=False),)
    """
    known = {one.name: one for one in changes}
    gates = []
    for name, limit in limits.items():
        if name not in known:
            raise OptionError(
                f"{option('max-regression', {name: limit})} cannot be checked: there is no {name} "
                "to "
                "compare",
                "leave it out, or compare with a report that has it",
            )
        value = worse_by(known[name])
        passed = value <= limit + _ROUNDING
        gates.append(GateFigure(f"max-regression-{name}", limit, value, passed))
    return tuple(gates)


def change_row(change: ChangeFigure) -> tuple[str, str, str, str]:
    """Name, value before, value now, and the change in words.

    >>> change_row(ChangeFigure("size", 100_000, 98_000, -0.02))
    ('size', '100.0 kB', '98.0 kB', '-2.0% better')
    """
    before, after = (_value(change.name, value) for value in (change.before, change.after))
    return change.name, before, after, f"{change.change:+.1%}{_judged(change)}"


def _judged(change: ChangeFigure) -> str:
    if abs(change.change) < 0.0005:  # what would be shown as 0.0 %
        return ""
    return " worse" if worse_by(change) > 0 else " better"


def _value(name: str, value: float) -> str:
    texts = {"size": size_text(round(value)), "cycles": count_text(round(value))}
    return texts.get(name, f"{value:.2f} ms" if name == "latency" else f"{value:.4f}")


def changes_lines(
    baseline: Mapping[str, Any] | None, changes: tuple[ChangeFigure, ...]
) -> list[str]:
    """One line for a terminal; none when there is nothing to compare."""
    if baseline is None or not changes:
        return []
    rows = map(change_row, changes)
    told = [f"{name} {before} to {after} ({change})" for name, before, after, change in rows]
    return [f"since {baseline['file']}: {', '.join(told)}"]
