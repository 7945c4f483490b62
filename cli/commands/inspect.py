"""``rockpress inspect``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...core.diagnostics import option
from ...core.errors import OptionError
from ...core.option_kinds import Whole
from .. import parameters as o
from ..completion import ONNX, RKNN, file_completer
from ..onnx_facts import show_layers, show_onnx, show_tensors
from ..show import print_json, print_lines, warn
from ..verb_options import OptionValues, VerbCommand, takes, word_reader

if TYPE_CHECKING:
    from ...convert.manifest import Manifest
    from ...convert.toolkit.rknn_file import RknnFacts, RknnTensor
    from ...pipeline.inspection import RknnInspection
    from ...pipeline.recipes.recipe import Recipe

_TOP = 20  # layers in the table; the dearest come first and should not scroll away

Top = Annotated[
    int,
    typer.Option(
        metavar="N",
        parser=word_reader("top", Whole(1)),
        help="How many to show: layers, or classes of a classifier.",
    ),
]
Tensors = Annotated[
    bool, typer.Option("--tensors", help="List every tensor that the model can be ended at.")
]

app = typer.Typer(add_completion=False)


@app.command(cls=VerbCommand)
@takes("inspect")
def command(
    model: Annotated[
        Path,
        typer.Argument(
            metavar="MODEL",
            help="ONNX model or .rknn file.",
            autocompletion=file_completer(ONNX, RKNN),
        ),
    ],
    options: OptionValues,
    top: Top = _TOP,
    tensors: Tensors = False,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """Show what is inside a model, and how to feed it.

    With --target: what every layer of an ONNX model would cost on that chip. No data is needed.
    """
    if model.suffix.lower() == ".rknn":
        if "target" in options:
            raise OptionError(
                f"{option('target')} is for ONNX models; a .rknn has its target inside",
                f"leave out {option('target')}",
            )
        _inspect_rknn(model, options, as_json=as_json, quiet=quiet)
        return
    if "measured" in options and "target" not in options:
        raise OptionError(
            f"{option('measured')} scales the time on a chip", f"name it with {option('target')}"
        )
    from ...pipeline.recipes.recipe import make_recipe

    recipe = make_recipe(model, **options)
    if "target" in options:
        _analyse(recipe, top, as_json=as_json, quiet=quiet)
        return
    from ...pipeline.inspection import inspect_model

    facts = inspect_model(recipe)
    if as_json:
        print_json({"schema": o.SCHEMA, **asdict(facts)})
    elif tensors:
        show_tensors(facts)
    else:
        show_onnx(facts)
        show_layers(facts, top)


def _analyse(recipe: Recipe, top: int, *, as_json: bool, quiet: bool) -> None:
    from ...pipeline.analysis import analyse_file
    from ..analysis_table import show_analysis
    from ..progress_display import watching

    with watching(quiet=quiet) as progress:
        facts, analyses = analyse_file(recipe, progress)
    for analysis in analyses:
        warn(analysis.warnings)
    if as_json:
        targets = [analysis.document() for analysis in analyses]
        print_json({"schema": o.SCHEMA, **asdict(facts), "targets": targets})
        return
    show_onnx(facts)
    for analysis in analyses:
        show_analysis(analysis, top)


def _inspect_rknn(path: Path, options: OptionValues, *, as_json: bool, quiet: bool) -> None:
    from ...pipeline.inspection import inspect_rknn
    from ...pipeline.recipes.recipe import make_recipe
    from ..progress_display import watching

    with watching(quiet=quiet) as progress:
        inspection = inspect_rknn(path, make_recipe(path, **options), progress)
    if not as_json:
        _show_rknn(path, inspection)
        return
    contents = asdict(inspection.manifest or inspection.file)
    names = ("target", "toolkit", "inputs", "outputs")
    best = contents if inspection.manifest else {name: contents[name] for name in names}
    more = {"file": asdict(inspection.file), "disagreements": list(inspection.disagreements)}
    if inspection.manifest:
        more |= _costs(inspection.manifest)
    print_json({"schema": o.SCHEMA, **best, "manifest": inspection.manifest is not None, **more})


def _costs(manifest: Manifest) -> dict[str, Any]:
    """Return what the latency in the manifest comes to in an application."""
    from ...pipeline.figures.build_figures import latency_figures, throughput_figures

    application = latency_figures(manifest)[1:]
    rates = [asdict(rate) for rate in throughput_figures(manifest)]
    return {"application": next(map(asdict, application), None), "throughput": rates}


def _latency_lines(manifest: Manifest) -> list[str]:
    from ...pipeline.figures.build_figures import (
        latency_figures,
        layer_rows,
        throughput_figures,
    )
    from ...report.text.latency_text import bound_shares, build_lines, latency_text

    figures = latency_figures(manifest)
    shares = bound_shares((layer.bound, layer.ms) for layer in layer_rows(manifest))
    lines = [f"latency {latency_text(figure)}" for figure in figures[:1]]
    return [*lines, *build_lines(figures, throughput_figures(manifest), shares)]


def _show_rknn(path: Path, inspection: RknnInspection) -> None:
    from ...report.text.units import memory_text

    manifest = inspection.manifest
    if manifest is None:
        file = inspection.file
        print_lines(
            [
                f"{path}: for {file.target}, rknn-toolkit2 {file.toolkit}",
                _file_line(file),
                *_own_lines(file),
                f"there is no manifest ({path.name}.json) beside it: colour order, type and layout "
                "of the inputs as the application hands them over are not known",
            ]
        )
        return
    count = sum(layer.sparse_ratio > 0 for layer in manifest.layers)
    sparse = f", {count} of them 2:4 sparse" if count else ""
    print_lines(
        [
            f"{path}: for {manifest.target}, {manifest.quantization}, "
            f"rknn-toolkit2 {manifest.toolkit}",
            _file_line(inspection.file),
            *(
                f"the manifest is that of another file: {disagreement}"
                for disagreement in inspection.disagreements
            ),
            f"{manifest.cycles:,} cycles, {len(manifest.layers)} layers{sparse}",
            *_latency_lines(manifest),
            *([memory_text(manifest.memory)] if manifest.memory else []),
            *_shape_lines(manifest),
            *_feed_lines(manifest),
            *_program_lines(path),
        ]
    )


def _file_line(facts: RknnFacts) -> str:
    from ...report.text.units import size_text

    compiler = f", compiler {facts.compiler}" if facts.compiler else ""
    return f"{size_text(facts.bytes)}, format {facts.format:#x}{compiler}"


def _own_lines(facts: RknnFacts) -> list[str]:
    """Return lines on inputs and outputs as the file has them: in layout and type of the NPU."""
    lines = []
    for direction, tensors in (("input ", facts.inputs), ("output", facts.outputs)):
        for tensor in tensors:
            lines.append(_tensor_line(direction, tensor))
    return lines


def _feed_lines(manifest: Manifest) -> list[str]:
    from ...report.text.feed_text import classes_text, input_text, output_text

    lines = [f"feed   {input_text(feed)}" for feed in manifest.inputs]
    lines += [f"output {output_text(output)}" for output in manifest.outputs]
    return [*lines, classes_text(manifest.classes)] if manifest.classes else lines


def _program_lines(path: Path) -> list[str]:
    """Return a line on the programs beside a ``.rknn`` that do all that, where there are some."""
    from ...convert.manifest import board_folder

    use = board_folder(path) / "README.md"
    return [f"programs that do all this on the board: {use}"] if use.is_file() else []


def _shape_lines(manifest: Manifest) -> list[str]:
    """Return a line for each set of shapes that the inputs may have, where there are several."""
    from ...report.text.feed_text import shape_text

    sets = [
        ", ".join(f"{name} {shape_text(shape)}" for name, shape in shapes.items())
        for shapes in manifest.input_sets
    ]
    lines = (f"or     {text}" for text in sets[1:])
    return [f"shapes {sets[0]}, in which it was measured", *lines] if sets else []


def _tensor_line(direction: str, tensor: RknnTensor) -> str:
    from ...report.text.feed_text import numbers_text, shape_text

    parts = [direction, tensor.name, shape_text(tensor.shape), tensor.dtype, tensor.layout]
    if tensor.mean:
        parts.append(f"mean {numbers_text(tensor.mean)} and std {numbers_text(tensor.std)} inside")
    scale = f", scale {tensor.scale:.6g}, zero point {tensor.zero_point}" if tensor.scale else ""
    return " ".join(part for part in parts if part) + scale
