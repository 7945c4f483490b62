"""The HTML report's models before and after, quantization, changes, feed and stages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...core.results import ChangeFigure
from ..text.changes import change_row, worse_by
from ..text.units import count_text, size_text
from .charts import CurvePoint, bar, curve
from .elements import STAGES, bar_row, card, data_table, folded_card
from .markup import Markup, tag

_LAST = ("rknn", "quantized", "candidate")


def models_card(models: Sequence[dict[str, Any]]) -> Markup:
    """Size, latency and cycles of every form of the model, as bars."""
    sizes = [(one["stage"], one["bytes"]) for one in models]
    npu = [(one["stage"], one["latency"][0]) for one in models if one["latency"]]
    npu = [(stage, one) for stage, one in npu if one["kind"] != "host"]
    parts = [
        _bars("Size", sizes, size_text),
        _bars("Latency", [(stage, one["ms"]) for stage, one in npu], "{:.2f} ms".format),
        _bars("NPU cycles", [(stage, one["cycles"]) for stage, one in npu], count_text),
    ]
    host = [(one["stage"], one["latency"][0]["ms"]) for one in models if one["latency"]]
    if not npu:
        parts.append(_bars("Latency on this host's CPU", host, "{:.2f} ms".format))
    return card("Before and after", *parts)


def _bars(title: str, rows: Sequence[tuple[str, Any]], text: Any) -> Markup | None:
    known = [(stage, value) for stage, value in rows if value is not None]
    if not known:
        return None
    most = max(value for _, value in known) or 1
    drawn = [
        bar_row(
            STAGES.get(stage, stage),
            bar(value / most, "after" if place == len(known) - 1 else "before"),
            text(value),
        )
        for place, (stage, value) in enumerate(known)
    ]
    return tag("div", tag("p", title, class_="muted small"), drawn)


def quantization_card(how: dict[str, Any] | None) -> Markup | None:
    """Which ways to quantize were compared, and what float16 would add."""
    if how is None or not (how["candidates"] or how["tradeoffs"]):
        return None
    note = f"Noise of the outputs (SQNR) on {how['held_out']} samples that no method had seen."
    known = {name: value for name, value in how["candidates"].items() if value is not None}
    most = max([1.0, *known.values()])
    rows = []
    for name, value in sorted(known.items(), key=lambda one: -one[1]):
        kind = "after" if name == how["method"] else "before"
        rows.append(bar_row(name, bar(value / most, kind), f"{value:.1f} dB"))
    note += _chosen(how, known)
    title = f"Quantization: {how['method']}"
    return card(title, *rows, _tradeoffs(how), note=note if rows else "")


def _chosen(how: dict[str, Any], decibels: dict[str, float]) -> str:
    """Why this method, where the bars alone do not say it."""
    by = how.get("chosen_by", "sqnr")
    if by == "user":
        return f" {how['method']} was asked for."
    if by != "sqnr":
        return f" The method was chosen by {how['metric']} on them."
    kept = decibels.get(how["method"])
    if kept is None or max(decibels.values()) <= kept:
        return ""
    return f" {how['method']} was kept: sample by sample none is better by more than chance."


def _tradeoffs(how: dict[str, Any]) -> Markup | None:
    wide = how.get("wide", "float16")
    of = "size" if any(one.get("size_ratio") for one in how["tradeoffs"]) else "cycles"
    points = [
        CurvePoint(
            one[f"{of}_ratio"],
            one["sqnr_db"],
            f"{one['floating']} tensors in {wide}: {one['sqnr_db']:.1f} dB, "
            f"{one[f'{of}_ratio'] - 1:+.1%} {of}",
            one["floating"] == how["floating"],
        )
        for one in how["tradeoffs"]
        if one["sqnr_db"] is not None and one[f"{of}_ratio"] is not None
    ]
    if len(points) < 2:
        return None
    title = f"SQNR against {of} for {len(points)} choices of tensors in {wide}"
    drawn = curve(title, points, (f"{of} over int8", "dB"))
    told = f"Mixed precision: {how['floating']} tensors stay in {wide} (the large point)."
    return tag("div", tag("p", told), drawn)


def changes_card(changes: Sequence[dict[str, Any]]) -> Markup | None:
    """What changed since the report of an earlier run."""
    if not changes:
        return None
    rows = []
    known = [each for each in changes if None not in each.values()]
    for one in (ChangeFigure(**each) for each in known):
        name, before, after, told = change_row(one)
        kind = "bad" if "worse" in told else "good" if worse_by(one) < 0 else None
        rows.append([name, before, after, tag("span", told, class_=kind)])
    table = data_table(("", "before", "now", "change"), rows, numbers=3)
    return card("Since the last report", table)


def feed_card(feed: dict[str, Any]) -> Markup | None:
    """What the program on the board has to give the model and gets from it."""
    if not feed:
        return None
    tables = [
        data_table(list(rows[0]), [[_value(cell) for cell in one.values()] for one in rows])
        for rows in (feed.get("inputs", ()), feed.get("outputs", ()))
        if rows
    ]
    heads = [tag("p", name, class_="muted small") for name in ("Inputs", "Outputs")]
    content = [part for pair in zip(heads, tables, strict=False) for part in pair]
    return folded_card("How to feed it", tag("div", content))


def _value(value: Any) -> str:
    if isinstance(value, list):
        return " × ".join(_value(one) for one in value)
    return "-" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


def stages_card(stages: Sequence[dict[str, Any]]) -> Markup | None:
    """What was done and how long it took."""
    if not stages:
        return None
    stages = [{**one, "seconds": one["seconds"] or 0.0} for one in stages]
    most = max(one["seconds"] for one in stages) or 1
    rows = [
        bar_row(
            one["name"],
            bar(one["seconds"] / most, "bad" if one["status"] == "failed" else "before"),
            f"{one['seconds']:.1f} s" if one["status"] == "done" else one["status"],
        )
        for one in stages
    ]
    total = sum(one["seconds"] for one in stages)
    return folded_card(f"The stages: {total:.0f} s", tag("div", rows))
