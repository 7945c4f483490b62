"""Small drawings as inline SVG: pure functions from numbers to markup.

Places are in per cent of the width and pixels of the height, so that a drawing fits a phone and a
desktop and its letters keep their size. Colours come from the style sheet, by class.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ...core.percents import limit_percent, percent_range, percent_text
from .markup import Markup, tag

_EDGE = 15.0  # per cent: nearer to an end of the drawing, a text begins or ends at its place


@dataclass(frozen=True)
class Scale:
    """From values to per cent of the width, with a margin at both ends."""

    low: float
    high: float
    margin: float = 3.0

    def at(self, value: float) -> float:
        """Return the place of a value; what lies outside is drawn at the end.

        >>> Scale(0, 10).at(5), Scale(0, 10).at(99)
        (50.0, 97.0)
        """
        part = (value - self.low) / (self.high - self.low)
        return self.margin + (100 - 2 * self.margin) * min(max(part, 0.0), 1.0)


def scale_of(values: Iterable[float | None]) -> Scale:
    """Return a scale that holds all values that are known with some air.

    >>> scale_of([0.9, 1.0])
    Scale(low=0.89, high=1.01, margin=3.0)
    """
    numbers = [value for value in values if value is not None]
    low, high = min(numbers), max(numbers)
    air = (high - low) * 0.1 or abs(high) * 0.05 or 1.0
    return Scale(round(low - air, 12), round(high + air, 12))


def bar(part: float, kind: str = "after") -> Markup:
    """Draw a bar; ``part`` of 1 is the full width. The value stands beside it as text."""
    width = f"{100 * min(max(part, 0.004), 1.0):.2f}%"
    back = tag("rect", class_="track", width="100%", height="12", rx="2")
    front = tag("rect", class_=kind, width=width, height="12", rx="2")
    return tag("svg", back, front, class_="bar", height="12", aria_hidden="true")


def whisker(scale: Scale, value: float, low: float | None, high: float | None) -> Markup:
    """Draw a point and its interval, without letters."""
    parts = [_line(0, 100, 9, "axis")]
    if low is not None and high is not None:
        parts.append(_line(scale.at(low), scale.at(high), 9, "interval"))
    parts.append(_point(scale.at(value), 9))
    return tag("svg", parts, class_="bar", height="18", aria_hidden="true")


def interval_chart(
    title: str, value: float, low: float, high: float, limit: float | None
) -> Markup:
    """Draw a share and its 95 % interval, on an axis with the limit that it must keep."""
    scale = scale_of([low, value, high, limit])
    holds = limit is None or value >= limit
    parts = [
        tag("title", title),
        _line(0, 100, 42, "axis"),
        tag(
            "rect",
            class_="band good" if holds else "band bad",
            x=_percent(scale.at(low)),
            y="34",
            width=_percent(scale.at(high) - scale.at(low)),
            height="16",
            rx="8",
        ),
        _label(scale.at(value), 22, percent_text(value), "strong"),
        *_ends(scale, low, high),
    ]
    if limit is not None:
        at = _percent(scale.at(limit))
        parts.append(tag("line", class_="limit", x1=at, x2=at, y1="8", y2="62"))
        parts.append(_label(scale.at(limit), 92, f"limit {limit_percent(limit)}", "limit"))
    parts.append(_point(scale.at(value), 42, 6))
    height = "78" if limit is None else "98"
    return tag("svg", parts, class_="interval-chart", height=height, role="img")


@dataclass(frozen=True)
class ChartPoint:
    """A point of a curve with what it is; the chosen one is drawn larger."""

    x: float
    y: float
    name: str
    chosen: bool = False


def curve(title: str, points: Sequence[ChartPoint], axes: tuple[str, str]) -> Markup:
    """Draw points joined in the order of x, with tooltips and the extremes of both in words."""
    ordered = sorted(points, key=lambda point: point.x)
    across = scale_of([point.x for point in ordered])
    heights = [point.y for point in ordered]
    up = scale_of(heights)
    places = [(across.at(point.x), 200 - 2 * up.at(point.y)) for point in ordered]
    parts: list[Markup] = [tag("title", title), _stretched(_polyline(places, "curve"))]
    for point, (x, y) in zip(ordered, places, strict=True):
        parts.append(_point(x, y, 7 if point.chosen else 4, point.name, point.chosen))
    extremes = max(heights), min(heights)
    names = dict.fromkeys(f"{height:.4g}" for height in extremes)  # of equal ones one
    below = (f"{ordered[0].x:.4g}", axes[0], f"{ordered[-1].x:.4g}")
    return _plot(parts, axes[1], names, below)


def shares_chart(
    title: str, lines: Iterable[tuple[str, Iterable[tuple[float, float]]]], axes: tuple[str, str]
) -> Markup:
    """Draw lines from 0 to 1 along both axes, each of a kind that the style sheet colours."""
    scale = Scale(-0.1, 1.1)  # the air that the ticks of a curve have beside them
    drawn = [
        _polyline([(scale.at(x), 200 - 2 * scale.at(y)) for x, y in points], f"curve {kind}")
        for kind, points in lines
    ]
    return _plot([tag("title", title), _stretched(*drawn)], axes[1], "10", ("0", axes[0], "1"))


def _polyline(places: Iterable[tuple[float, float]], kind: str) -> Markup:
    points = " ".join(f"{x:.2f},{y:.2f}" for x, y in places)
    return tag("polyline", class_=kind, points=points)


def _stretched(*lines: Markup) -> Markup:
    """Return lines in per cent of the width, which a drawing's own units are not."""
    size = {"viewBox": "0 0 100 200", "width": "100%", "height": "200"}
    return tag("svg", lines, preserveAspectRatio="none", **size)


def _plot(parts: list[Markup], name: str, ticks: Iterable[str], below: Iterable[str]) -> Markup:
    """Return a drawing between its axes: name and ticks of y, from the top, and what is below."""
    return tag(
        "div",
        tag("div", name, class_="muted small y-name"),
        tag("div", (tag("span", tick) for tick in ticks), class_="y-axis"),
        tag("svg", parts, class_="plot", height="200", role="img"),
        tag("div", (tag("span", text) for text in below), class_="x-axis"),
        class_="curve-chart",
    )


def _percent(value: float) -> str:
    return f"{value:.2f}%"


def _line(start: float, end: float, y: float, kind: str) -> Markup:
    return tag("line", class_=kind, x1=_percent(start), x2=_percent(end), y1=y, y2=y)


def _point(x: float, y: float, radius: int = 4, name: str = "", chosen: bool = True) -> Markup:
    title = tag("title", name) if name else None
    kind = "point" if chosen else "point other"
    return tag("circle", title, class_=kind, cx=_percent(x), cy=y, r=radius)


def _ends(scale: Scale, low: float, high: float) -> list[Markup]:
    """Return the interval's ends in figures; in one text where two would lie on each other."""
    start, end = scale.at(low), scale.at(high)
    if end - start < 2 * _EDGE:
        return [_label((start + end) / 2, 72, percent_range(low, high), "muted")]
    return [
        _label(at, 72, percent_text(value), "muted") for at, value in ((start, low), (end, high))
    ]


def _label(at: float, y: float, text: str, kind: str) -> Markup:
    anchor = "start" if at < _EDGE else "end" if at > 100 - _EDGE else "middle"
    return tag("text", text, x=_percent(at), y=y, class_=kind, text_anchor=anchor)
