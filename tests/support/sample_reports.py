"""Reports as a run would give them, with every part that there is."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from rockpress.core.diagnostics import Diagnostic
from rockpress.core.errors import ToolkitError
from rockpress.core.results.graph_rows import GraphNode
from rockpress.core.results.layer_rows import Feed, FeedInput, FeedOutput, LayerRow
from rockpress.core.results.model_figures import (
    NOTHING_COMPARED,
    AccuracyFigure,
    LatencyFigure,
    ModelRow,
    QuantizationFigure,
    Ratios,
    RetentionFigure,
    TradeoffFigure,
)
from rockpress.core.results.pruning_figures import (
    CurvePoint,
    PlanChoice,
    PrunedGroup,
    PruningAttempt,
    PruningFigure,
)
from rockpress.core.results.report import (
    ChangeFigure,
    GateFigure,
    Report,
    StageRun,
    TargetReport,
    ToolVersion,
)
from rockpress.core.results.sample_rows import (
    AttackRow,
    ChangedSample,
    ChangedSamples,
    ClassRow,
    ConfusionRow,
    DriftRow,
    MetricDetails,
    PrecisionRow,
    RobustnessRow,
)

NPU = LatencyFigure("npu-estimate", 2.81, 2.51, 3.2, 241466)
TOP1 = AccuracyFigure("top1", 0.9875, 0.971, 0.994, 400, "rknn-simulator")
FEED = Feed(
    (
        FeedInput(
            *("x", "uint8", "NHWC", (1, 48, 192, 3), "rgb", (127.5, 64.0, 32.0), (1.0, 2.0, 3.0)),
            *("letterbox", (114, 114, 114), "inside"),
        ),
    ),
    (FeedOutput("y", (1, 2), "float32", 0.0039),),
    ("cat", "<dog>"),
)


def layer(index: int, ms: float | None, runs_on: str = "NPU", name: str = "") -> LayerRow:
    shapes: tuple[tuple[int, ...], ...] = ((1, 8, 4, 4),)
    cycles = 100 * index
    return LayerRow(
        *(index, "Conv", "INT8", runs_on, (), shapes, 0, cycles, cycles, name or f"Conv:c{index}"),
        *(0, 0, 0.0, None),
        ms,
        "compute",
    )


def group(name: str, before: int, after: int, saved: float) -> PrunedGroup:
    return PrunedGroup(name, before, after, 0.1, saved, {after: 0.1}, ("a", "b"))


GOOD = TargetReport(
    target="rk3588",
    models=(
        ModelRow("baseline", "m.onnx", 585532, accuracy=replace(TOP1, value=0.99)),
        ModelRow(
            "reference-float16", None, 997441, latency=(replace(NPU, ms=5.62, cycles=482932),)
        ),
        ModelRow("rknn", "m.rknn", 498720, latency=(NPU,), accuracy=TOP1),
    ),
    retention=RetentionFigure(
        "top1", 0.9975, 0.99, 1.005, 400, 0.995, 25.6, (), -0.0025, -0.01, 0.005, 0.25
    ),
    ratios=Ratios(0.5, 0.5, 0.5, 1.0),
    pruning=PruningFigure(
        *(0.6, 0.5, 0.4, "cycles", 0.58, "agreement"),
        curve=tuple(
            CurvePoint(cost, 0.1, likeness)
            for cost, likeness in ((1.0, 1.0), (0.8, 0.99), (0.6, 0.97), (0.5, 0.9))
        ),
        groups=(
            group("stem", 32, 32, 0.0),
            group("block1", 96, 24, 0.08),
            group("block2", 64, 48, 0.12),
        ),
        attempts=(PruningAttempt(0.4, 0.985),),
        choice=PlanChoice("uniform", "squared error", {"searched": 0.2, "uniform": 0.1}),
    ),
    quantization=QuantizationFigure(
        "gptq",
        24,
        {"gptq": 24.8, "min-max": 12.4},
        floating=2,
        tradeoffs=(TradeoffFigure(0, 1.0, 24.8), TradeoffFigure(2, 1.05, 29.0)),
    ),
    layers=(
        layer(0, 0.0),
        *(layer(index, 0.1 * index) for index in range(1, 20)),
        layer(20, 5.0, runs_on="CPU", name="Resize:on the cpu"),
    ),
    feed=FEED,
    gates=(GateFigure("min-retention", 0.98, 0.9975, True),),
    warnings=(Diagnostic("toolkit-fidelity", "they <differ>", "look & see"),),
    stages=(StageRun("baseline", "done", 1.25), StageRun("convert", "done", 10.5)),
    changes=(ChangeFigure("size", 100_000, 90_000, -0.1), ChangeFigure("cycles", 10, 11, 0.1)),
)
FAILED = TargetReport(
    target="rk3566",
    models=(),
    retention=NOTHING_COMPARED,
    ratios=Ratios(),
    pruning=None,
    stages=(StageRun("convert", "failed", 3.0),),
    error=ToolkitError("it <crashed>", "try & again"),
)


def drifted(
    stage: str, layer: str | None, value: float | None, change: float | None, *db: float
) -> DriftRow:
    return DriftRow(stage, layer, layer and "Conv", value, change, None, *db)


def worse(
    corruption: str, level: float | None, retention: float | None, agreement: float | None
) -> RobustnessRow:
    low, high = (retention and retention + by for by in (-0.02, 0.02))
    metric, baseline = (None, None) if retention is None else ("top1", 0.9)
    candidate = retention and 0.9 * retention
    values = baseline, candidate, retention
    return RobustnessRow(corruption, level, metric, *values, low, high, agreement, 25.0, 500)


GRAPH = (
    GraphNode("x", "Input", layers=(0,)),
    GraphNode("c1", "ConvRelu", ("Conv c1", "Relu r1"), (0,), (1,), 40.5),
    GraphNode("c2", "Conv", ("Conv c2",), (1,), (2, 3), 31.0),
    GraphNode("up", "Resize", ("Resize up",), (1,), (20,)),
    GraphNode("cat", "Concat", ("Concat cat",), (0, 2, 3)),
    GraphNode("y", "Output", (), (4,)),
)
EXTRA: dict[str, Any] = {
    "graph": GRAPH,
    "drift": (
        drifted("pruned", None, 0.91, -0.01, 19.8, 19.8),
        drifted("quantized", "c1", None, None, 31.2, -8.4),
        drifted("quantized", "c2", None, None, 35.0, -4.2),
        drifted("rknn", None, 0.91, 0.0, 19.8, math.inf),
    ),
    "robustness": (worse("none", None, 0.99, 0.995), worse("blur", 2.0, 0.97, 0.98)),
    "attacks": (
        AttackRow("none", None, None, None, "top1", 0.9, 0.89, 0.99, 0.95, 1.02, 100),
        AttackRow("square", 4, "each", 50, "top1", 0.5, 0.4, 0.8, 0.7, 0.9, 100, 12, 2, 0.013, 85),
        AttackRow(
            "pgd", 4, "baseline", None, "top1", 0.0, 0.2, None, None, None, 100, 0, 18, 0.0, 85
        ),
    ),
    "details": MetricDetails(
        tuple(ClassRow(f"{i} shirt", 10, 0.9, 0.9 - i / 100) for i in range(24)),
        (ConfusionRow("3", "5", 0, 4),),
        precisions=tuple(PrecisionRow(r / 10, 1 - r / 20, 0.9 - r / 15) for r in range(11)),
    ),
    "examples": ChangedSamples(
        (3, 5), (7,), (ChangedSample("a/3.png", 3, "3", "3", "5", 1.0, 0.0),)
    ),
}


def report(*targets: TargetReport) -> Report:
    tool, toolkit = ToolVersion("rockpress", "0.1.0"), ToolVersion("rknn-toolkit2", "2.5.0")
    recipe = {"model": "a/m.onnx", "eval": None, "gates": {"min_retention": 0.98}, "mean": [1, 2]}
    return Report(tool, toolkit, recipe, targets)
