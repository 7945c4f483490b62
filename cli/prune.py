"""``rockpress prune``."""

from __future__ import annotations

from dataclasses import asdict

import typer

from . import options as o
from .build import build_recipe
from .check_options import Layout
from .progress import watching
from .show import print_json, print_lines, print_table

app = typer.Typer(add_completion=False)


@app.command()
def command(
    model: o.Model,
    output: o.OutputFile,
    calib: o.Calib = None,
    calib_count: o.CalibCount = None,
    budget: o.Budget = None,
    recover: o.Recover = None,
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
    """Remove whole channels from an ONNX model."""
    from ..pipeline.single import prune_file

    recipe = build_recipe(
        model,
        calib=calib,
        calib_count=calib_count,
        prune=budget,
        recover=recover,
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
    with watching(quiet=quiet) as observer:
        result = prune_file(recipe, output, observer)
    if as_json:
        print_json({"schema": 1, **asdict(result), "path": str(result.path)})
        return
    rows = [
        (group.name, str(group.before), str(group.after), f"{group.error:.4g}")
        for group in result.groups
        if group.after < group.before
    ]
    print_table(str(output), ("channels made by", "before", "after", "output error"), rows)
    what = (
        f"{result.budget.kind} (estimated)"
        if result.budget.kind == "cycles"
        else result.budget.kind.replace("macs", "MACs")
    )
    changes = (
        (what, result.cost_before, result.cost_after),
        ("MACs", result.macs_before, result.macs_after),
        ("parameters", result.parameters_before, result.parameters_after),
    )
    print_lines(f"{name} {now / was - 1:+.1%}" for name, was, now in dict.fromkeys(changes))
    if result.frozen:
        stops = ", ".join(f"{name} ({count})" for name, count in result.frozen.items())
        print_lines([f"left whole around operators without a rule: {stops}"])
