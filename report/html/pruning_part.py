"""What pruning did: the HTML report's trade-off curve, and the channels of every group."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from ...core.results.pruning_figures import PrunedGroup, PruningAttempt, PruningFigure
from ...core.results.report import TargetReport
from ..text.pruning_text import pruning_lines, saved_text
from ..text.units import counted, number_text
from .charts import ChartPoint, bar, curve
from .elements import card, data_table, folded, layer_row
from .markup import Markup, tag

_SHOWN = 12
_FLAT = 0.0005  # of likenesses that differ less, the errors tell more


def pruning_card(target: TargetReport) -> Markup | None:
    """Draw the cut and what it saved, the trade-off around it, and which channels went."""
    figure = target.pruning
    if figure is None:
        return None
    lines = pruning_lines(figure.blocks, figure.choice, figure.distillation, figure.unseen)
    return card(
        "Pruning",
        tag("p", f"The result {saved_text(target, figure).replace('macs', 'MACs')}."),
        *(tag("p", f"{line[0].upper()}{line[1:]}.") for line in lines),
        _trade_off(figure),
        _groups(figure.groups),
        _attempts(figure.attempts),
    )


def _trade_off(figure: PruningFigure) -> Markup | None:
    """Draw likeness against cost, with the point of the budget large."""
    steps = [
        step for step in figure.curve if isfinite(step.cost_ratio + step.error + step.likeness)
    ]
    budget_ratio = figure.predicted_ratio
    if len(steps) < 2 or budget_ratio is None:
        return None
    chosen = min(steps, key=lambda step: abs(step.cost_ratio - budget_ratio))
    measure, budget = figure.measure, figure.budget
    likenesses = {step.likeness for step in steps}
    is_flat = max(likenesses) - min(likenesses) < _FLAT
    points = [
        ChartPoint(
            step.cost_ratio,
            step.error if is_flat else step.likeness,
            f"{budget} {step.cost_ratio - 1:+.1%}: {measure} {step.likeness:.3f}, "
            f"error {step.error:.2g}",
            step is chosen,
        )
        for step in steps
    ]
    drawn_measure = "estimated error" if is_flat else measure
    title = f"{drawn_measure} against {budget} at {len(points)} widths of the model"
    names = f"{budget} over unpruned", drawn_measure if is_flat else f"{measure}, at least"
    drawn = curve(title, points, names)
    note = "What more or less pruning would leave; the large point is the budget."
    if is_flat:
        note += f" The {measure} on those samples is {max(likenesses):.3g} at every point."
    return tag("div", drawn, tag("p", note, class_="muted small"))


def _groups(groups: Sequence[PrunedGroup]) -> Markup | None:
    narrower = [group for group in groups if group.after < group.before]
    if not narrower:
        return None
    rows = [_row(group) for group in sorted(narrower, key=lambda group: -group.saved)]
    whole = len(groups) - len(narrower)
    text = f"Channels of {len(narrower)} groups, by what their cut saves"
    if whole:
        text += f"; {whole} {'group is' if whole == 1 else 'groups are'} whole"
    rest = rows[_SHOWN:]
    more = folded(f"{len(rest)} more groups", rest) if rest else None
    return tag("div", tag("p", f"{text}.", class_="muted small"), rows[:_SHOWN], more)


def _row(group: PrunedGroup) -> Markup:
    """Draw a group's name, what is left of its channels, and what that saves."""
    about = counted(len(group.layers), "layer") if group.layers else ""
    value = f"{group.before} → {group.after}, {-group.saved:+.1%}"
    return layer_row(group.name, about, [bar(group.after / group.before)], value)


def _attempts(attempts: Sequence[PruningAttempt]) -> Markup | None:
    if not attempts:
        return None
    rows = [
        [number_text(attempt.share, ".1%"), number_text(attempt.retention, ".1%")]
        for attempt in attempts
    ]
    table = data_table("Cuts that were tried", ("cut that was tried", "left"), rows, numbers=1)
    return folded("in search of the largest cut", table)
