"""The picture of accuracy over time, as inline SVG: points with intervals, the front joined."""

from __future__ import annotations

from collections.abc import Sequence

from ..html.charts import Scale, scale_of
from ..html.markup import Markup, tag
from .compared_result import ComparedResult
from .tradeoff import TradedResult, traded

_HEIGHT = 260


def tradeoff_chart(
    results: Sequence[ComparedResult], front: Sequence[str], metric: str
) -> Markup | None:
    """Draw accuracy over milliseconds, each point numbered as its result; None below two points."""
    points = traded(results)
    if len(points) < 2:
        return None
    across = scale_of(end for point in points for end in _times(point))
    up = scale_of(end for point in points for end in _accuracies(point))
    numbers = {result.name: number for number, result in enumerate(results, 1)}
    best = [point for point in points if point.result.name in front]
    drawn = [_front(sorted(best, key=lambda point: point.ms), across, up)]
    for point in points:
        name = point.result.name
        drawn.append(_mark(point, across, up, str(numbers[name]), name in front))
    title = f"{metric} over milliseconds for {len(points)} results"
    plot = tag("svg", tag("title", title), drawn, class_="plot", height=str(_HEIGHT), role="img")
    ends = [f"{value:.4g}" for value in (up.high, up.low)]
    below = (f"{across.low:.4g}", "ms", f"{across.high:.4g}")
    return tag(
        "div",
        tag("div", metric, class_="muted small y-name"),
        tag("div", (tag("span", end) for end in ends), class_="y-axis"),
        plot,
        tag("div", (tag("span", text) for text in below), class_="x-axis"),
        class_="curve-chart",
    )


def _times(point: TradedResult) -> tuple[float | None, ...]:
    latency = point.result.latency
    return (point.ms, latency.low, latency.high) if latency else (point.ms,)


def _accuracies(point: TradedResult) -> tuple[float | None, ...]:
    figure = point.result.accuracy
    return (point.accuracy, figure.low, figure.high) if figure else (point.accuracy,)


def _front(points: Sequence[TradedResult], across: Scale, up: Scale) -> Markup:
    places = " ".join(f"{across.at(point.ms):.2f},{_y(up, point.accuracy):.2f}" for point in points)
    return tag(
        "svg",
        tag("polyline", class_="curve", points=places),
        viewBox=f"0 0 100 {_HEIGHT}",
        preserveAspectRatio="none",
        width="100%",
        height=str(_HEIGHT),
    )


def _mark(point: TradedResult, across: Scale, up: Scale, label: str, is_best: bool) -> Markup:
    """Draw a point with both intervals and its number; its name and figures as a tooltip."""
    x, y = across.at(point.ms), _y(up, point.accuracy)
    text = f"{point.result.name}: {point.accuracy:.4f}, {point.ms:.4g} ms"
    parts = [tag("title", text)]
    _, *times = _times(point)
    if None not in times and times:
        ends = [across.at(end) for end in times if end is not None]
        parts.append(_line(min(ends), max(ends), y, y))
    _, *accuracies = _accuracies(point)
    if None not in accuracies and accuracies:
        parts.append(_line(x, x, *(_y(up, end) for end in accuracies if end is not None)))
    kind = "point" if is_best else "point other"
    parts.append(tag("circle", class_=kind, cx=f"{x:.2f}%", cy=y, r=6 if is_best else 4))
    is_right = x > 90
    anchor, beside = ("end", -10) if is_right else ("start", 10)
    parts.append(tag("text", label, x=f"{x:.2f}%", y=y - 9, dx=beside, text_anchor=anchor))
    return tag("g", parts)


def _line(x1: float, x2: float, y1: float, y2: float) -> Markup:
    return tag("line", class_="interval", x1=f"{x1:.2f}%", x2=f"{x2:.2f}%", y1=y1, y2=y2)


def _y(scale: Scale, value: float) -> float:
    return _HEIGHT - _HEIGHT * scale.at(value) / 100
