"""How a result is measured, and what it must hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from ...core.diagnostics import option
from ...core.list_kinds import Names, Settings, Shares
from ...core.option_kinds import Choice, File, Flag, Number, Share, Text, Whole
from ...core.options import Options, opt

Confidence = Literal["point", "lower"]

_MEASURING = "run check prune quantize convert predict"


def _metric_names() -> tuple[str, ...]:
    from ...accuracy.metrics.metric_names import metric_modules

    return tuple(metric_modules())


@dataclass(frozen=True)
class MetricOptions(Options):
    """The task's metric, and what it reads."""

    heading: ClassVar[str] = "Metric"

    metric: str = opt(
        "top1",
        Text("NAME", known=_metric_names),
        "What to measure. Your own is package.module:function; the default is by the labels too.",
        _MEASURING,
    )
    metric_option: Mapping[str, str] = opt(
        {},
        Settings(),
        f"Set an option of the metric, as {option('metric-option', {'charset': 'keys.txt'})}. "
        "Repeatable.",
        _MEASURING,
    )
    metric_output: tuple[str, ...] = opt(
        (),
        Names(repeats=True),
        "The outputs that the metric reads, in its order. Repeatable.",
        _MEASURING,
        default="all",
    )


@dataclass(frozen=True)
class CheckOptions(Options):
    """What is measured beside the metric on the samples as they are."""

    heading: ClassVar[str] = "Metric"

    robustness: bool = opt(
        False,
        Flag(),
        "Measure on images with noise, blur, JPEG artefacts and other brightness too, and under "
        "attack.",
        "run check",
    )
    attack_epsilon: int = opt(
        4,
        Whole(1, 255),
        f"Most that an attack changes a pixel by, of 255 (with {option('robustness')}).",
        "run check",
    )
    attack_queries: int = opt(
        50,
        Whole(0),
        "Most images that an attack shows a model for each sample (with "
        f"{option('robustness')}); 0 for no attack.",
        "run check",
    )
    attack_count: int = opt(
        100,
        Whole(1),
        f"Number of samples that are attacked (with {option('robustness')}).",
        "run check",
    )


@dataclass(frozen=True)
class Gates(Options):
    """The limits that the result must keep; None where there is none.

    ``max_regression`` is by what part of its value in the report ``baseline`` a figure may be
    worse: size, cycles, latency or retention.
    """

    heading: ClassVar[str] = "Gates"

    min_retention: float | None = opt(
        None,
        Share(0, 2, "R"),
        "Least metric of the result over that of the baseline, such as 0.98. Exit 4 below.",
        "run check demo",
        defaults={"demo": "0.98"},
    )
    confidence: Confidence = opt(
        "point",
        Choice(("point", "lower")),
        "What the limits of retention and latency are held against. The value itself, or the "
        "unfavourable end of its interval (of retention the lower, of an estimated latency the "
        "upper).",
        "run check",
    )
    max_latency_ms: float | None = opt(
        None,
        Number(0, metavar="T", unit="ms"),
        "Most milliseconds of an inference on the NPU alone, as estimated, or measured with "
        f"{option('board')}. Of an ONNX model that is compared, on this host's CPU. Exit 4 above.",
        "run check",
    )
    max_size_mb: float | None = opt(
        None,
        Number(0, metavar="S", unit="MB"),
        "Most megabytes of the result. Exit 4 above.",
        "run check",
    )
    baseline: Path | None = opt(
        None,
        File("REPORT.json", suffixes=(".json",)),
        "Report of an earlier run, such as the last release, to show what changed since.",
        "run check demo",
    )
    max_regression: Mapping[str, float] = opt(
        {},
        Shares(("size", "cycles", "latency", "retention")),
        f"How much worse than in {option('baseline')} size, cycles, latency or retention may be, "
        f"as {option('max-regression', {'cycles': 0.02})}. Exit 4 above. Repeatable.",
        "run check demo",
    )
