"""``rockpress check``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .. import accuracy_options as a
from .. import options as o
from .. import release_options as r
from ..build import build_recipe
from ..check_options import Layout, Robustness
from ..model_runs import GATE_FAILED
from ..places import require_reports
from ..progress_display import watching
from ..show import show_report
from ..target_results import Jobs

app = typer.Typer(add_completion=False)


@app.command()
def command(
    baseline: Annotated[Path, typer.Argument(metavar="BASELINE", help="The original ONNX model.")],
    candidate: Annotated[
        Path, typer.Argument(metavar="CANDIDATE", help="ONNX, quantized ONNX, or .rknn.")
    ],
    calib: o.Calib = None,
    calib_count: o.CalibCount = None,
    evaluation: o.Eval = None,
    eval_count: o.EvalCount = None,
    metric: a.Metric = None,
    metric_option: a.MetricOption = None,
    metric_output: a.MetricOutput = None,
    inputs: o.Inputs = None,
    outputs: o.Outputs = None,
    size: o.SizeOption = None,
    resize: o.Resize = None,
    pad: o.Pad = None,
    color: o.Color = None,
    mean: o.Mean = None,
    std: o.Std = None,
    layout: Layout = None,
    min_retention: o.MinRetention = None,
    confidence: a.Confidence = None,
    max_latency_ms: o.MaxLatencyMs = None,
    max_size_mb: o.MaxSizeMb = None,
    timeout: o.Timeout = None,
    memory_limit: o.MemoryLimit = None,
    toolkit_python: o.ToolkitPython = None,
    jobs: Jobs = None,
    robustness: Robustness = False,
    last_report: r.LastReport = None,
    max_regression: r.MaxRegression = None,
    seed: o.Seed = None,
    report: o.ReportFiles = None,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """Compare a compressed model with its baseline."""
    from ...pipeline.check import check

    recipe = build_recipe(
        baseline,
        calib=calib,
        calib_count=calib_count,
        eval=evaluation,
        eval_count=eval_count,
        metric=metric,
        metric_options=dict(metric_option) if metric_option else None,
        metric_outputs=metric_output,
        inputs=inputs,
        outputs=outputs,
        size=size,
        preprocessing={
            "resize": resize,
            "pad": pad,
            "color": color,
            "mean": mean,
            "std": std,
            "layout": layout,
        },
        gates={
            "min_retention": min_retention,
            "confidence": confidence,
            "max_latency_ms": max_latency_ms,
            "max_size_mb": max_size_mb,
            "max_regression": r.limits_of(max_regression),
        },
        timeout=timeout,
        memory_limit_gb=memory_limit,
        toolkit_python=toolkit_python,
        jobs=jobs,
        robustness=robustness or None,
        last_report=last_report,
        seed=seed,
    )
    require_reports(report, recipe, [candidate])
    with watching(quiet=quiet) as progress:
        result = check(recipe, candidate, progress)
    show_report(result, as_json=as_json, files=report, told=progress.shown)
    if not result.passed:
        raise typer.Exit(GATE_FAILED)
