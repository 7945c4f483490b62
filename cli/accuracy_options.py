"""The options that say how a result is measured, see options.py."""

from __future__ import annotations

from typing import Annotated, Literal

from typer import Option

from .parsers import Names, Setting, parse_names, parse_setting

Metric = Annotated[
    str | None,
    Option(
        "--metric",
        metavar="NAME",
        help="A name (docs/accuracy.md), or your own as package.module:function. [default: top1]",
    ),
]
MetricOption = Annotated[
    list[Setting] | None,
    Option(
        "--metric-option",
        metavar="KEY=VALUE",
        parser=parse_setting,
        help="Set an option of the metric, such as charset=keys.txt. Repeatable.",
    ),
]
MetricOutput = Annotated[
    Names | None,
    Option(
        "--metric-output",
        metavar="NAME,...",
        parser=parse_names,
        help="The outputs that the metric reads, in its order. [default: all]",
    ),
]
Confidence = Annotated[
    Literal["point", "lower"] | None,
    Option(
        "--confidence",
        help="What the retention gate compares: the measured value, or the lower end of its 95 % "
        "interval. [default: point]",
    ),
]
