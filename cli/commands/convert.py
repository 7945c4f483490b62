"""``rockpress convert``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ...core.errors import RockpressError
from .. import parameters as o
from ..progress_display import watching
from ..show import print_json, print_lines, warn
from ..target_results import Told, end_with, named
from ..verb_options import Given, VerbCommand, takes

if TYPE_CHECKING:
    from ...convert.convert import Conversion
    from ...core.progress import Progress
    from ...pipeline.recipes.recipe import Recipe

SCHEMA = 1

app = typer.Typer(add_completion=False)


@app.command(cls=VerbCommand)
@takes("convert")
def command(
    model: o.Model,
    output: o.OutputFileOrFolder,
    options: Given,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """Convert an ONNX model to RKNN."""
    several = len({name.strip().lower() for name in options.get("target", ())}) > 1
    if several and output.suffix.lower() == ".rknn":
        raise typer.BadParameter(
            f"-o {output}: a .rknn is for one chip; with several --target, -o names a folder"
        )
    from ...calibration_data.preprocessing import Preprocessing
    from ...core.options import options_in
    from ...pipeline.parallel import AllFailed
    from ...pipeline.recipes.recipe import make_recipe
    from ...pipeline.several import convert_files

    recipe = make_recipe(model, **options)
    pixels = any(described.name in options for described in options_in(Preprocessing))
    try:
        with watching(quiet=quiet) as progress:
            convert = convert_files if several else _convert_one
            found = convert(recipe, output, progress, pixels=pixels)
    except AllFailed as failed:
        end_with(failed.errors, verbose=verbose, code=failed.exit_code)
    _show(found, several=several, as_json=as_json, told=progress.shown)
    if failures := {name: one for name, one in found.items() if isinstance(one, RockpressError)}:
        end_with(failures, verbose=verbose)


def _convert_one(
    recipe: Recipe, output: Path, progress: Progress, *, pixels: bool
) -> dict[str, Conversion | RockpressError]:
    from ...pipeline.single import convert_file

    done = convert_file(recipe, output, progress, pixels=pixels)
    return {done.target: done}


def _show(
    found: Mapping[str, Conversion | RockpressError], *, several: bool, as_json: bool, told: Told
) -> None:
    for name, one in found.items():
        if not isinstance(one, RockpressError):
            warn(named(one.warnings, name if several else None, told))
    if as_json:
        documents = [_document(name, one) for name, one in found.items()]
        print_json({"schema": SCHEMA, "targets": documents} if several else documents[0])
    else:
        print_lines(line for name, one in found.items() for line in _lines(name, one))


def _document(name: str, one: Conversion | RockpressError) -> dict[str, Any]:
    from dataclasses import asdict

    from ...pipeline.figures.figures_of import latency_figures

    if isinstance(one, RockpressError):
        return {"target": name, "error": {"message": one.message, "hint": one.hint}}
    return {
        "schema": SCHEMA,
        "path": str(one.path),
        "bytes": one.bytes,
        "target": one.target,
        "toolkit": one.toolkit,
        "quantization": one.quantization,
        "sqnr_db": {"intended": one.closeness.intended_db, "float": one.closeness.float_db},
        "cycles": one.cycles,
        "latency": [asdict(figure) for figure in latency_figures(one)],
        "warnings": [warning.rendered().document() for warning in one.warnings],
    }


def _lines(name: str, one: Conversion | RockpressError) -> list[str]:
    from ...pipeline.figures.figures_of import latency_figures
    from ...report.text.table import latency_text
    from ...report.text.units import size_text

    if isinstance(one, RockpressError):
        return [f"{name} failed: {one.message}"]
    latency = latency_figures(one)
    return [
        f"{one.path}: {size_text(one.bytes)} for {one.target}, {one.quantization}, "
        f"rknn-toolkit2 {one.toolkit}",
        f"{one.cycles:,} cycles; latency {latency_text(latency[0]) if latency else 'unknown'}",
        f"how to feed it: rockpress inspect {one.path}",
    ]
