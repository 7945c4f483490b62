"""``rockpress inspect``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from . import options as o
from .show import print_json, print_lines, print_table

if TYPE_CHECKING:
    from ..convert.manifest import Manifest
    from ..pipeline.inspection import ModelFacts

app = typer.Typer(add_completion=False)


@app.command()
def command(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="ONNX model or .rknn file.")],
    inputs: o.Inputs = None,
    as_json: o.Json = False,
    verbose: o.Verbose = False,
) -> None:
    """Show what is inside a model, and how to feed it."""
    from dataclasses import asdict

    from ..pipeline.inspection import inspect_onnx, inspect_rknn

    if model.suffix == ".rknn":
        manifest = inspect_rknn(model)
        if as_json:
            print_json(asdict(manifest))
        else:
            _show_rknn(model, manifest)
        return
    facts = inspect_onnx(model, {one.name: one.shape for one in inputs or ()})
    if as_json:
        print_json({"schema": 1, **asdict(facts)})
    else:
        _show_onnx(facts)


def _show_onnx(facts: ModelFacts) -> None:
    from ..report.table import count_text, size_text

    kind = "quantized (QDQ)" if facts.quantized else "float"
    lines = [
        f"{facts.path}: {size_text(facts.bytes)}, {kind}, opset {facts.opset}, {facts.producer}",
        *(f"input  {name} {_shape(shape)}" for name, shape in facts.inputs.items()),
        *(f"output {name} {_shape(shape)}" for name, shape in facts.outputs.items()),
        f"{count_text(facts.parameters)} parameters, {count_text(facts.macs)} MACs",
    ]
    print_lines(lines)
    if facts.macs is None:
        print_lines(["layers: fix the dynamic inputs first, with --input NAME=SHAPE"])
        return
    print_table(
        "layers",
        ("layer", "kind", "in", "out", "kernel", "output", "MACs"),
        [
            (
                layer.name,
                layer.op,
                str(layer.cin),
                str(layer.cout),
                f"{layer.kernel_h}x{layer.kernel_w}",
                f"{layer.out_h}x{layer.out_w}",
                count_text(layer.macs),
            )
            for layer in facts.layers
        ],
    )
    frozen = ", ".join(f"{name} ({count})" for name, count in (facts.frozen or {}).items())
    by = f"; frozen by {frozen}" if frozen else ""
    print_lines([f"{facts.prunable} channels can be pruned{by}"])


def _show_rknn(path: Path, manifest: Manifest) -> None:
    lines = [
        f"{path}: for {manifest.target}, {manifest.quantization}, rknn-toolkit2 {manifest.toolkit}",
        f"{manifest.cycles:,} cycles, {len(manifest.layers)} layers",
    ]
    for one in manifest.inputs:
        how = [one.name, _shape(one.shape), one.dtype, one.layout, one.color or ""]
        inside = f"mean {_values(one.mean)} and std {_values(one.std)} inside" if one.mean else ""
        lines.append("feed   " + " ".join(part for part in [*how, inside] if part))
    for out in manifest.outputs:
        scale = f", scale {out.scale:.6g}, zero point {out.zero_point}" if out.scale else ""
        lines.append(f"output {out.name} {_shape(out.shape)} {out.dtype}{scale}")
    print_lines(lines)


def _shape(shape: tuple[int | None, ...]) -> str:
    return "x".join("?" if size is None else str(size) for size in shape)


def _values(values: tuple[float, ...] | None) -> str:
    return ",".join(f"{value:g}" for value in values or ())
