"""``rockpress run``."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import typer

from .. import accuracy_options as a
from .. import options as o
from .. import prune_options as p
from .. import quantize_options as q
from .. import release_options as rel
from .. import run_options as r
from ..build import build_recipe
from ..check_options import Layout, Robustness
from ..model_runs import (
    Shown,
    opened_cache,
    read_jobs,
    run_one,
    run_several,
    show_plans,
    write_depfile,
)
from ..phrases import speaking_of
from ..places import require_places
from ..target_results import Jobs

app = typer.Typer(add_completion=False)


@app.command()
def command(
    model: r.ModelOrRecipe,
    output: o.OutputFolder = None,
    depfile: r.Depfile = None,
    dry_run: r.DryRun = False,
    force: o.Force = False,
    calib: o.Calib = None,
    calib_count: o.CalibCount = None,
    evaluation: o.Eval = None,
    eval_count: o.EvalCount = None,
    metric: a.Metric = None,
    metric_option: a.MetricOption = None,
    metric_output: a.MetricOutput = None,
    target: o.Targets = None,
    prune: o.Prune = None,
    max_drop: p.MaxDrop = None,
    rounds: p.Rounds = None,
    sparsity: p.Sparsity = None,
    keep: p.Keep = None,
    only: p.Only = None,
    criterion: p.Criterion = None,
    recover: p.Recover = None,
    recover_time: p.RecoverTime = None,
    quantize: q.QuantizeRun = None,
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
    confidence: a.Confidence = None,
    max_latency_ms: o.MaxLatencyMs = None,
    max_size_mb: o.MaxSizeMb = None,
    timeout: o.Timeout = None,
    memory_limit: o.MemoryLimit = None,
    toolkit_python: o.ToolkitPython = None,
    jobs: Jobs = None,
    robustness: Robustness = False,
    last_report: rel.LastReport = None,
    max_regression: rel.MaxRegression = None,
    seed: o.Seed = None,
    report: o.ReportFiles = None,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """Prune, quantize, convert and check a model: one command, one report."""
    options: dict[str, Any] = {
        "calib": calib,
        "calib_count": calib_count,
        "eval": evaluation,
        "eval_count": eval_count,
        "metric": metric,
        "metric_options": dict(metric_option) if metric_option else None,
        "metric_outputs": metric_output,
        "targets": target,
        "prune": prune,
        "max_drop": max_drop,
        "rounds": rounds,
        "sparsity": sparsity,
        "keep": keep,
        "only": only,
        "criterion": criterion,
        "recover": recover,
        "recover_time": recover_time,
        "quantize": "float16" if quantize == "off" else quantize,
        "method": method,
        "mixed": mixed,
        "search_time": search_time,
        "inputs": inputs,
        "outputs": outputs,
        "size": size,
        "preprocessing": {
            "resize": resize,
            "pad": pad,
            "color": color,
            "mean": mean,
            "std": std,
            "layout": layout,
        },
        "gates": {
            "min_retention": min_retention,
            "confidence": confidence,
            "max_latency_ms": max_latency_ms,
            "max_size_mb": max_size_mb,
            "max_regression": rel.limits_of(max_regression),
        },
        "timeout": timeout,
        "memory_limit_gb": memory_limit,
        "toolkit_python": toolkit_python,
        "jobs": jobs,
        "robustness": robustness or None,
        "last_report": last_report,
        "seed": seed,
        "cache": opened_cache(fresh=force),
    }
    work = [
        replace(job, recipe=build_recipe(job.recipe, **options)) for job in read_jobs(model, output)
    ]
    require_places(work, model, report or (), depfile)
    if dry_run:
        with speaking_of(model):
            show_plans(work, as_json=as_json)
        return
    shown = Shown(as_json=as_json, reports=report or (), quiet=quiet, verbose=verbose)
    with speaking_of(model):
        code = run_one(work[0], shown) if work[0].name is None else run_several(work, shown)
    if depfile is not None:
        write_depfile(depfile, work, model)
    if code:
        raise typer.Exit(code)
