"""``rockpress convert``."""

from __future__ import annotations

import typer

from . import options as o
from .build import build_recipe
from .progress import watching
from .show import print_json, print_lines, warn

app = typer.Typer(add_completion=False)


@app.command()
def command(
    model: o.Model,
    output: o.OutputFile,
    target: o.Targets = None,
    quantize: o.QuantizeBuild = None,
    calib: o.Calib = None,
    calib_count: o.CalibCount = None,
    inputs: o.Inputs = None,
    outputs: o.Outputs = None,
    size: o.SizeOption = None,
    resize: o.Resize = None,
    pad: o.Pad = None,
    color: o.Color = None,
    mean: o.Mean = None,
    std: o.Std = None,
    timeout: o.Timeout = None,
    memory_limit: o.MemoryLimit = None,
    toolkit_python: o.ToolkitPython = None,
    seed: o.Seed = None,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """Convert an ONNX model to RKNN."""
    from ..pipeline.rows import latency_figures
    from ..pipeline.single import convert_file
    from ..report.table import latency_text, size_text

    if target is not None and len(target) > 1:
        raise typer.BadParameter("a .rknn is for one chip; run builds for several")
    recipe = build_recipe(
        model,
        targets=target,
        calib=calib,
        calib_count=calib_count,
        inputs=inputs,
        outputs=outputs,
        size=size,
        preprocessing={"resize": resize, "pad": pad, "color": color, "mean": mean, "std": std},
        timeout=timeout,
        memory_limit_gb=memory_limit,
        toolkit_python=toolkit_python,
        seed=seed,
    )
    pixels = any(one is not None for one in (resize, pad, color, mean, std))
    with watching(quiet=quiet) as observer:
        done = convert_file(recipe, output, quantize or "auto", observer, pixels=pixels)
    latency = latency_figures(done)
    warn(done.warnings)
    if as_json:
        from dataclasses import asdict

        print_json(
            {
                "schema": 1,
                "path": str(done.path),
                "bytes": done.bytes,
                "target": done.target,
                "toolkit": done.toolkit,
                "quantization": done.quantization,
                "cycles": done.cycles,
                "latency": [asdict(one) for one in latency],
                "warnings": [asdict(one) for one in done.warnings],
            }
        )
        return
    estimate = latency_text(latency[0]) if latency else "unknown"
    print_lines(
        [
            f"{output}: {size_text(done.bytes)} for {done.target}, {done.quantization}, "
            f"rknn-toolkit2 {done.toolkit}",
            f"{done.cycles:,} cycles; latency {estimate}",
            f"how to feed it: rockpress inspect {output}",
        ]
    )
