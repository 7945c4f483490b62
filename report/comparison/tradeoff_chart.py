"""The picture of accuracy over time: results by number, the front joined."""

from __future__ import annotations

from collections.abc import Sequence

from ...core.results.model_figures import AccuracyFigure, LatencyFigure
from ..html.markup import Markup
from ..html.scatter import ScatterPoint, scatter
from .compared_result import ComparedResult
from .tradeoff import TradedResult, traded


def tradeoff_chart(
    results: Sequence[ComparedResult], front: Sequence[str], metric: str
) -> Markup | None:
    """Draw accuracy over milliseconds, each point numbered as its result; None below two points."""
    points = traded(results)
    if len(points) < 2:
        return None
    numbers = {result.name: str(number) for number, result in enumerate(results, 1)}
    drawn = [_point(point, numbers[point.result.name], front) for point in points]
    return scatter(f"{metric} over milliseconds for {len(points)} results", drawn, ("ms", metric))


def _point(point: TradedResult, label: str, front: Sequence[str]) -> ScatterPoint:
    result = point.result
    return ScatterPoint(
        point.ms,
        point.accuracy,
        f"{result.name}: {point.accuracy:.4f}, {point.ms:.4g} ms",
        label,
        _interval(result.latency),
        _interval(result.accuracy),
        "front" if result.name in front else "other",
    )


def _interval(figure: LatencyFigure | AccuracyFigure | None) -> tuple[float, float] | None:
    if figure is None or figure.low is None or figure.high is None:
        return None
    return figure.low, figure.high
