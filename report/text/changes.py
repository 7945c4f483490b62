"""What changed since the report of an earlier run, and gates on it."""

from __future__ import annotations

import math
from collections.abc import Mapping

from ...core.diagnostics import option
from ...core.errors import OptionError
from ...core.percents import percent_text
from ...core.results.model_figures import LatencyFigure
from ...core.results.report import REGRESSION, ChangeFigure, EarlierReport, GateFigure, TargetReport
from .units import count_text, ms_text, size_text

# The names of --max-regression, and whether more of it is better.
MORE_IS_BETTER = {"size": False, "cycles": False, "latency": False, "retention": True}
# 1100 is 10 % above 1000, which the nearest floating-point numbers do not quite say.
_ROUNDING = 1e-9


def changes_since(before: TargetReport, now: TargetReport) -> tuple[ChangeFigure, ...]:
    """Return the change of every figure of the result that both targets have.

    A latency measured on the host is no figure of the result, so it is not compared. Where not both
    have a board's figures, those of the simulator and the estimates are compared.
    """
    on_board = before.board is not None and now.board is not None
    old, new = (result_figures(target, on_board=on_board) for target in (before, now))
    scales = [_scale(target) for target in (before, now)]
    if (
        scales[0] != scales[1] and not on_board
    ):  # like with like: neither as other models have scaled it
        for figures, scale in zip((old, new), scales, strict=True):
            if "latency" in figures:
                figures["latency"] /= scale
    return tuple(
        ChangeFigure(name, old[name], new[name], new[name] / old[name] - 1)
        for name in MORE_IS_BETTER
        if name in old and name in new
    )


def _scale(target: TargetReport) -> float:
    """Return by what the latency of the result was scaled, 1 where it was not."""
    latency = target.models[-1].predicted if target.models else None
    return latency.scale.factor if latency and latency.scale else 1.0


def result_figures(target: TargetReport, *, on_board: bool = False) -> dict[str, float]:
    """Return the figures of a target's result that are above 0, by name.

    Those of the simulator and the estimate, or what was measured ``on_board``.
    """
    if not target.models:
        return {}
    result = target.models[-1]
    first = result.latency[0] if on_board and result.latency else result.predicted
    latency = first or LatencyFigure("host", None)
    host = latency.kind == "host"
    figures = {
        "size": result.bytes,
        "cycles": None if host else result.cycles,
        "latency": None if host else latency.ms,
        "retention": _retention(target, on_board=on_board),
    }
    return {
        name: float(figure)
        for name, figure in figures.items()
        if figure is not None and 0 < figure < math.inf
    }


def _retention(target: TargetReport, *, on_board: bool) -> float | None:
    """Return the retention on the board, or in the simulator."""
    simulator = target.board and target.board.simulator
    return simulator.retention if simulator and not on_board else target.retention.value


def worse_by(change: ChangeFigure) -> float:
    """Return how much worse it is, as a part of the value before; negative when it is better.

    >>> worse_by(ChangeFigure("retention", 1.0, 0.75, -0.25))
    0.25
    """
    return -change.change if MORE_IS_BETTER[change.name] else change.change


def regression_gates(
    changes: tuple[ChangeFigure, ...], limits: Mapping[str, float]
) -> tuple[GateFigure, ...]:
    """Return a gate for each limit, a part of the old value.

    Raises OptionError for a limit of which there is no change.

    >>> (gate,) = regression_gates((ChangeFigure("cycles", 100, 103, 0.03),), {"cycles": 0.02})
    >>> gate.name, gate.passed
    ('max-regression-cycles', False)
    """
    by_name = {change.name: change for change in changes}
    gates = []
    for name, limit in limits.items():
        if name not in by_name:
            raise OptionError(
                f"{option('max-regression', {name: limit})} cannot be checked: there is no {name} "
                "to compare",
                "leave it out, or compare with a report that has it",
            )
        value = worse_by(by_name[name])
        passed = value <= limit + _ROUNDING
        gates.append(GateFigure(f"{REGRESSION}{name}", limit, value, passed))
    return tuple(gates)


def change_row(change: ChangeFigure) -> tuple[str, str, str, str]:
    """Return name, value before, value now, and the change in words.

    >>> change_row(ChangeFigure("size", 100_000, 98_000, -0.02))
    ('size', '100.0 kB', '98.0 kB', '-2.0%, better')
    """
    before, after = (_value(change.name, value) for value in (change.before, change.after))
    return change.name, before, after, f"{change.change:+.1%}{_judged(change)}"


def _judged(change: ChangeFigure) -> str:
    if abs(change.change) < 0.0005:  # what would be shown as 0.0 %
        return ""
    return ", worse" if worse_by(change) > 0 else ", better"


def _value(name: str, value: float) -> str:
    texts = {"size": size_text(round(value)), "cycles": count_text(round(value))}
    return texts.get(name, ms_text(value) if name == "latency" else percent_text(value))


def changes_lines(baseline: EarlierReport | None, changes: tuple[ChangeFigure, ...]) -> list[str]:
    """Return one line for a terminal; none when there is nothing to compare."""
    if baseline is None or not changes:
        return []
    rows = map(change_row, changes)
    texts = [f"{name} {before} to {after} ({change})" for name, before, after, change in rows]
    return [f"since {baseline.file}: {', '.join(texts)}"]
