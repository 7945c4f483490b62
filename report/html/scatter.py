"""Points of cost and quality with their intervals, as inline SVG, those that none beats joined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .charts import Scale, scale_of
from .markup import Markup, tag

_HEIGHT = 260
_RIGHT = 90.0  # per cent: a label of a point further to the right ends at it


@dataclass(frozen=True)
class ScatterPoint:
    """A point, the ends of its intervals, a label beside it and its figures as a tooltip.

    ``kind`` is how it is drawn: one of the front, another, a ``reference``, or ``hollow``, a
    little aside of the one that it belongs to.
    """

    x: float
    y: float
    text: str
    label: str = ""
    across: tuple[float, float] | None = None
    up: tuple[float, float] | None = None
    kind: str = "front"
    is_chosen: bool = False


@dataclass(frozen=True)
class ScatterLimit:
    """A limit in one of both directions, drawn as a line with its text."""

    value: float
    text: str
    is_across: bool


def scatter(
    title: str,
    points: Sequence[ScatterPoint],
    axes: tuple[str, str],
    limit: ScatterLimit | None = None,
) -> Markup:
    """Draw points; those of the front are joined in the order of x. ``axes`` are named x and y."""
    across = scale_of(end for each in points for end in (each.x, *(each.across or ())))
    up = scale_of(end for each in points for end in (each.y, *(each.up or ())))
    front = sorted((each for each in points if each.kind == "front"), key=lambda each: each.x)
    drawn = [_joined(front, across, up), *(_mark(point, across, up) for point in points)]
    if limit is not None:
        drawn.insert(0, _limit(limit, across, up))
    plot = tag("svg", tag("title", title), drawn, class_="plot", height=str(_HEIGHT), role="img")
    ends = (f"{value:.4g}" for value in (up.high, up.low))
    below = (f"{across.low:.4g}", axes[0], f"{across.high:.4g}")
    return tag(
        "div",
        tag("div", axes[1], class_="muted small y-name"),
        tag("div", (tag("span", end) for end in ends), class_="y-axis"),
        plot,
        tag("div", (tag("span", text) for text in below), class_="x-axis"),
        class_="curve-chart",
    )


def _joined(points: Sequence[ScatterPoint], across: Scale, up: Scale) -> Markup:
    places = " ".join(f"{across.at(point.x):.2f},{_y(up, point.y):.2f}" for point in points)
    return tag(
        "svg",
        tag("polyline", class_="curve", points=places),
        viewBox=f"0 0 100 {_HEIGHT}",
        preserveAspectRatio="none",
        width="100%",
        height=str(_HEIGHT),
    )


def _mark(point: ScatterPoint, across: Scale, up: Scale) -> Markup:
    """Draw a point with both intervals and its label; its text as a tooltip."""
    x, y = across.at(point.x), _y(up, point.y)
    is_front = point.kind == "front"
    parts = [tag("title", point.text)]
    if point.across is not None:
        start, end = map(across.at, point.across)
        parts.append(_line(start, end, y, y, "interval thin"))
    if point.up is not None:
        low, high = (_y(up, end) for end in point.up)
        parts.append(_line(x, x, low, high))
    kind = "point" if is_front else f"point {point.kind}"
    radius = 9 if point.is_chosen else 6 if is_front else 4
    parts.append(tag("circle", class_=kind, cx=f"{x:.2f}%", cy=y, r=radius))
    if point.label:
        parts.append(_label(point, x, y))
    # aside by pixels, which a place in per cent cannot be
    return tag("g", parts, transform="translate(8 0)" if point.kind == "hollow" else None)


def _label(point: ScatterPoint, x: float, y: float) -> Markup:
    """Write a label above a point of the front, and below another, which may lie under one."""
    anchor, beside = ("end", -10) if x > _RIGHT else ("start", 10)
    height = y - 9 if point.kind == "front" else y + 17
    return tag(
        *("text", point.label),
        class_="strong" if point.is_chosen else None,
        x=f"{x:.2f}%",
        y=height,
        dx=beside,
        text_anchor=anchor,
    )


def _limit(limit: ScatterLimit, across: Scale, up: Scale) -> Markup:
    if limit.is_across:
        at = f"{across.at(limit.value):.2f}%"
        line = tag("line", class_="limit", x1=at, x2=at, y1=0, y2=_HEIGHT)
        text = tag("text", limit.text, class_="limit", x=at, y=_HEIGHT - 6, dx=5)
    else:
        at_height = _y(up, limit.value)
        line = tag("line", class_="limit", x1="0%", x2="100%", y1=at_height, y2=at_height)
        text = tag(
            *("text", limit.text), class_="limit", x="100%", y=at_height + 15, text_anchor="end"
        )
    return tag("g", line, text)


def _line(x1: float, x2: float, y1: float, y2: float, kind: str = "interval") -> Markup:
    return tag("line", class_=kind, x1=f"{x1:.2f}%", x2=f"{x2:.2f}%", y1=y1, y2=y2)


def _y(scale: Scale, value: float) -> float:
    return _HEIGHT - _HEIGHT * scale.at(value) / 100
