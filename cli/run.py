"""``rockpress run``."""

from __future__ import annotations

from pathlib import Path

import typer

from . import options as o
from . import quantize_options as q
from . import release_options as r
from .build import build_recipe
from .check_options import Layout
from .progress import watching
from .several import Jobs, end_with
from .show import require_report, say_where, show_report

GATE_FAILED = 4

app = typer.Typer(add_completion=False)


@app.command()
def command(
    model: o.Model,
    output: o.OutputFolder = None,
    calib: o.Calib = None,
    calib_count: o.CalibCount = None,
    evaluation: o.Eval = None,
    eval_count: o.EvalCount = None,
    metric: o.Metric = None,
    target: o.Targets = None,
    prune: o.Prune = None,
    recover: o.Recover = None,
    quantize: o.QuantizeStage = None,
    method: q.Method = None,
    mixed: q.MixedBudget = None,
    search_time: q.SearchTime = None,
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
    confidence: o.Confidence = None,
    max_latency_ms: o.MaxLatencyMs = None,
    max_size_mb: o.MaxSizeMb = None,
    timeout: o.Timeout = None,
    memory_limit: o.MemoryLimit = None,
    toolkit_python: o.ToolkitPython = None,
    jobs: Jobs = None,
    last_report: r.LastReport = None,
    max_regression: r.MaxRegression = None,
    seed: o.Seed = None,
    report: o.ReportFiles = None,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """Prune, quantize, convert and check a model: one command, one report."""
    from ..pipeline.parallel import AllFailed
    from ..pipeline.run import run

    recipe = build_recipe(
        model,
        calib=calib,
        calib_count=calib_count,
        eval=evaluation,
        eval_count=eval_count,
        metric=metric,
        targets=target,
        prune=None if prune == "off" else prune,
        recover=recover,
        quantize="float16" if quantize == "off" else quantize,
        method=method,
        mixed=mixed,
        search_time=search_time,
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
        last_report=last_report,
        seed=seed,
    )
    require_report(report)
    folder = output or Path("build")
    try:
        with watching(quiet=quiet) as observer:
            result = run(recipe, folder, observer)
    except AllFailed as failed:
        end_with(failed.errors, verbose=verbose, code=failed.exit_code)
    show_report(result, as_json=as_json, files=report, told=observer.told)
    say_where(folder, quiet=quiet)
    if result.failures:
        end_with(result.failures, verbose=verbose)
    if not result.passed:
        raise typer.Exit(GATE_FAILED)
