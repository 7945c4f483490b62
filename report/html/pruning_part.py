"""What pruning did: the HTML report's trade-off curve, and the channels of every group."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..text.pruning_text import blocks_text, choice_text, distillation_text
from ..text.units import number_text
from .charts import CurvePoint, bar, curve
from .elements import card, data_table, folded, layer_row
from .markup import Markup, tag

_SHOWN = 12


def pruning_card(figure: Mapping[str, Any] | None) -> Markup | None:
    """The cut and what it saved, the trade-off around it, and which channels went."""
    if figure is None:
        return None
    return card(
        "Pruning",
        tag("p", _told(figure)),
        *_sentences(figure),
        _trade_off(figure),
        _groups(figure.get("groups") or []),
        _attempts(figure.get("attempts") or []),
    )


def _told(figure: Mapping[str, Any]) -> str:
    names = {"cycles_ratio": "cycles", "macs_ratio": "MACs", "parameters_ratio": "parameters"}
    changes = [
        f"{name} {figure[key] - 1:+.1%}"
        for key, name in names.items()
        if figure.get(key) is not None
    ]
    return f"Against the unpruned model in the same format: {', '.join(changes)}."


def _sentences(figure: Mapping[str, Any]) -> Iterator[Markup]:
    """What was left out whole, which plan was kept and what training added, on held-out samples."""
    if left_out := blocks_text(figure.get("blocks") or []):
        yield tag("p", f"{_capital(left_out)}.")
    for key, text in (("choice", choice_text), ("distillation", distillation_text)):
        if found := figure.get(key):
            yield tag("p", f"{_capital(text(found))}.")


def _capital(text: str) -> str:
    """With a large first letter; names in it stay as they are."""
    return text[:1].upper() + text[1:]


def _trade_off(figure: Mapping[str, Any]) -> Markup | None:
    """Likeness against cost, with the point of the budget large."""
    steps = [one for one in figure.get("curve") or [] if None not in one.values()]
    if len(steps) < 2 or figure["predicted_ratio"] is None:
        return None
    aim = figure["predicted_ratio"]
    chosen = min(steps, key=lambda one: abs(one["cost_ratio"] - aim))
    measure, budget = figure["measure"], figure["budget"]
    points = [
        CurvePoint(
            one["cost_ratio"],
            one["likeness"],
            f"{budget} {one['cost_ratio'] - 1:+.1%}: {measure} {one['likeness']:.3f}",
            one is chosen,
        )
        for one in steps
    ]
    title = f"{measure} against {budget} at {len(points)} widths of the model"
    drawn = curve(title, points, (f"{budget} over unpruned", f"{measure}, at least"))
    note = "What more or less pruning would leave; the large point is the budget."
    return tag("div", drawn, tag("p", note, class_="muted small"))


def _groups(groups: Sequence[Mapping[str, Any]]) -> Markup | None:
    cut = sorted((one for one in groups if one["after"] < one["before"]), key=_by_saving)
    if not cut:
        return None
    rows = [_row(one) for one in cut]
    whole = len(groups) - len(cut)
    told = f"Channels of {len(cut)} groups, by what their cut saves"
    if whole:
        told += f"; {whole} {'group is' if whole == 1 else 'groups are'} whole"
    rest = rows[_SHOWN:]
    more = folded(f"{len(rest)} more groups", rest) if rest else None
    return tag("div", tag("p", f"{told}.", class_="muted small"), rows[:_SHOWN], more)


def _by_saving(group: Mapping[str, Any]) -> float:
    return -float(group["saved"] or 0.0)


def _row(group: Mapping[str, Any]) -> Markup:
    """A group's name, what is left of its channels, and what that saves."""
    layers = len(group.get("layers") or ())
    about = f"{layers} {'layer' if layers == 1 else 'layers'}" if layers else ""
    value = f"{group['before']} → {group['after']}, {-(group['saved'] or 0.0):+.1%}"
    return layer_row(group["name"], about, [bar(group["after"] / group["before"])], value)


def _attempts(attempts: Sequence[Mapping[str, Any]]) -> Markup | None:
    if not attempts:
        return None
    rows = [
        [number_text(one["share"], ".1%"), number_text(one["retention"], ".4f")] for one in attempts
    ]
    table = data_table(("cut that was tried", "left"), rows, numbers=1)
    return folded("in search of the largest cut", table)
