"""``rockpress convert``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import typer

from ...core.diagnostics import option
from ...core.errors import OptionError, RockpressError
from .. import parameters as o
from ..progress_display import watching
from ..show import print_json, print_lines, print_verdict, warn
from ..target_results import ShownWarnings, end_judged, end_with, warnings_of
from ..verb_options import OptionValues, VerbCommand, takes

if TYPE_CHECKING:
    from ...convert.convert import Conversion

app = typer.Typer(add_completion=False)


@app.command(cls=VerbCommand)
@takes("convert")
def command(
    model: o.Model,
    output: o.OutputFileOrFolder,
    options: OptionValues,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """Convert an ONNX model to RKNN."""
    several = len({name.strip().lower() for name in options.get("target", ())}) > 1
    if several and output.suffix.lower() == ".rknn":
        raise OptionError(
            f"-o {output}: a .rknn is for one chip, and several are given",
            f"name a folder with -o, or give one {option('target')}",
        )
    from ...calibration_data.preprocessing import Preprocessing
    from ...core.options import options_in
    from ...pipeline.convert_file import convert_file, convert_files
    from ...pipeline.figures.judgements import judged_conversion
    from ...pipeline.parallel import AllFailed
    from ...pipeline.recipes.recipe import make_recipe

    recipe = make_recipe(model, **options)
    pixels = any(described.name in options for described in options_in(Preprocessing))
    try:
        with watching(quiet=quiet) as progress:
            if several:
                outcomes = convert_files(recipe, output, progress, pixels=pixels)
            else:
                conversion = convert_file(recipe, output, progress, pixels=pixels)
                outcomes = {conversion.target: conversion}
    except AllFailed as failed:
        end_with(failed.errors, verbose=verbose, code=failed.exit_code)
    _show(outcomes, several=several, as_json=as_json, shown=progress.shown)
    if options.get("code") and not as_json:
        _show_programs(outcomes)
    failures = {
        name: outcome for name, outcome in outcomes.items() if isinstance(outcome, RockpressError)
    }
    if failures:
        end_with(failures, verbose=verbose)
    end_judged(
        judged_conversion(outcome)
        for outcome in outcomes.values()
        if not isinstance(outcome, RockpressError)
    )


def _show(
    outcomes: Mapping[str, Conversion | RockpressError],
    *,
    several: bool,
    as_json: bool,
    shown: ShownWarnings,
) -> None:
    warnings = {
        name: () if isinstance(outcome, RockpressError) else outcome.warnings
        for name, outcome in outcomes.items()
    }
    warn(warnings_of(warnings, shown))
    if as_json:
        documents = [_document(name, outcome) for name, outcome in outcomes.items()]
        print_json({"schema": o.SCHEMA, "targets": documents} if several else documents[0])
    else:
        for name, outcome in outcomes.items():
            _show_one(name, outcome)


def _show_programs(outcomes: Mapping[str, Conversion | RockpressError]) -> None:
    """Tell where the programs for a board are."""
    from ...convert.manifest import board_folder

    paths = [None if isinstance(each, RockpressError) else each.path for each in outcomes.values()]
    print_lines([f"programs for a board: {board_folder(path)}" for path in paths if path])


def _document(name: str, outcome: Conversion | RockpressError) -> dict[str, Any]:
    from ...pipeline.figures.build_figures import latency_figures, throughput_figures
    from ...pipeline.figures.judgements import judged_conversion
    from ...report.documents.document import judgement_document

    if isinstance(outcome, RockpressError):
        return {"target": name, "error": {"message": outcome.message, "hint": outcome.hint}}
    return {
        "schema": o.SCHEMA,
        "path": str(outcome.path),
        "bytes_before": outcome.bytes_before,
        "bytes": outcome.bytes,
        "target": outcome.target,
        "toolkit": outcome.toolkit,
        "quantization": outcome.quantization,
        **judgement_document(judged_conversion(outcome)),
        "sqnr_db": {"intended": outcome.closeness.intended_db, "float": outcome.closeness.float_db},
        "cycles": outcome.cycles,
        "latency": latency_figures(outcome),
        "throughput": throughput_figures(outcome),
        "warnings": [warning.rendered() for warning in outcome.warnings],
    }


def _show_one(name: str, outcome: Conversion | RockpressError) -> None:
    from ...pipeline.figures.build_figures import latency_figures, layer_rows, throughput_figures
    from ...pipeline.figures.judgements import judged_conversion
    from ...report.text.latency_text import bound_shares, build_lines, latency_text
    from ...report.text.verdict import judgement_line

    if isinstance(outcome, RockpressError):
        print_lines([f"{name} failed: {outcome.message}"])
        return
    latency = latency_figures(outcome)
    shares = bound_shares((layer.bound, layer.ms) for layer in layer_rows(outcome))
    print_verdict(judgement_line(judged_conversion(outcome)))
    lines = [
        f"{outcome.path}: {_sizes(outcome)} for {outcome.target}, {outcome.quantization}, "
        f"rknn-toolkit2 {outcome.toolkit}",
        f"{outcome.cycles:,} cycles; latency {latency_text(latency[0]) if latency else 'unknown'}",
        *build_lines(latency, throughput_figures(outcome), shares),
        f"how to feed it: rockpress inspect {outcome.path}",
    ]
    print_lines(lines)


def _sizes(outcome: Conversion) -> str:
    """Return the size of the ``.rknn`` behind that of the model that was given, and if it grew."""
    from ...report.text.units import size_text

    before, after = outcome.bytes_before, size_text(outcome.bytes)
    if before is None:
        return after
    return f"{size_text(before)} -> {after}{' (larger)' if outcome.bytes > before else ''}"
