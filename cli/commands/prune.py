"""``rockpress prune``."""

from __future__ import annotations

from dataclasses import asdict

import typer

from .. import accuracy_options as a
from .. import options as o
from .. import prune_options as p
from ..build import build_recipe
from ..check_options import Layout
from ..progress_display import watching
from ..pruning_table import show_pruning
from ..show import print_json

app = typer.Typer(add_completion=False)


@app.command()
def command(
    model: o.Model,
    output: o.OutputFile,
    calib: o.Calib = None,
    calib_count: o.CalibCount = None,
    budget: o.Budget = None,
    max_drop: p.MaxDrop = None,
    metric: a.Metric = None,
    metric_option: a.MetricOption = None,
    metric_output: a.MetricOutput = None,
    rounds: p.Rounds = None,
    sparsity: p.Sparsity = None,
    keep: p.Keep = None,
    only: p.Only = None,
    criterion: p.Criterion = None,
    recover: p.Recover = None,
    recover_time: p.RecoverTime = None,
    target: o.Targets = None,
    inputs: o.Inputs = None,
    outputs: o.Outputs = None,
    size: o.SizeOption = None,
    resize: o.Resize = None,
    pad: o.Pad = None,
    color: o.Color = None,
    mean: o.Mean = None,
    std: o.Std = None,
    layout: Layout = None,
    seed: o.Seed = None,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """Remove whole channels from an ONNX model, or make its weights sparse."""
    from ...pipeline.single import prune_file

    recipe = build_recipe(
        model,
        calib=calib,
        calib_count=calib_count,
        prune=budget,
        max_drop=max_drop,
        metric=metric,
        metric_options=dict(metric_option) if metric_option else None,
        metric_outputs=metric_output,
        rounds=rounds,
        sparsity=sparsity,
        keep=keep,
        only=only,
        criterion=criterion,
        recover=recover,
        recover_time=recover_time,
        targets=target,
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
        seed=seed,
    )
    with watching(quiet=quiet) as progress:
        result = prune_file(recipe, output, progress)
    if as_json:
        print_json({"schema": 1, **asdict(result), "path": str(result.path)})
        return
    show_pruning(result)
