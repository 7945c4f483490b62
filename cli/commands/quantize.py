"""``rockpress quantize``."""

from __future__ import annotations

from dataclasses import asdict

import typer

from .. import parameters as o
from ..verb_options import OptionValues, VerbCommand, takes

app = typer.Typer(add_completion=False)


@app.command(cls=VerbCommand)
@takes("quantize")
def command(
    model: o.Model,
    output: o.OutputFile,
    options: OptionValues,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """Decide the number formats of an ONNX model."""
    from ...pipeline.figures.judgements import judged
    from ...pipeline.quantize_file import quantize_file
    from ...pipeline.recipes.recipe import make_recipe
    from ...quantize.schemes import find_scheme
    from ...report.documents.document import judgement_document
    from ...report.text.similarity_text import similarity_text
    from ...report.text.table import quantization_text
    from ...report.text.units import counted, size_text
    from ...report.text.verdict import doubts_in, judgement_line
    from ..errors_table import show_errors
    from ..progress_display import watching
    from ..show import print_json, print_lines, print_verdict, warn
    from ..target_results import end_judged, warnings_of

    recipe = make_recipe(model, **options)
    with watching(quiet=quiet) as progress:
        quantized = quantize_file(recipe, output, progress)
    plan, near = quantized.result.plan, quantized.comparison
    number_format = find_scheme(plan.scheme)
    activations, weights = len(plan.integer_activations), len(plan.integer_weights)
    judgement = judged(near.parts)
    warn(warnings_of({"": quantized.warnings}, progress.shown))
    if as_json:
        print_json(
            {
                "schema": o.SCHEMA,
                **judgement_document(judgement),
                "path": str(quantized.result.path),
                "plan": str(quantized.result.plan_path),
                "scheme": plan.scheme,
                **asdict(quantized.figure),
                "bytes_before": quantized.bytes_before,
                "bytes": quantized.bytes_after,
                "activations": activations,
                "weights": weights,
                "float_operators": plan.float_operators,
                "agreement": near.agreement,
                "sqnr_db": near.sqnr_db,
                "samples": near.samples,
                "sensitivity": [asdict(error) for error in quantized.errors],
                "warnings": [asdict(warning.rendered()) for warning in quantized.warnings],
            }
        )
        end_judged([judgement])
        return
    sizes = f"{size_text(quantized.bytes_before)} -> {size_text(quantized.bytes_after)}"
    formats = number_format.described(
        counted(weights, "weight"), counted(activations, "activation")
    )
    hint = "" if number_format.is_qdq else ", to be given to convert"
    print_verdict(judgement_line(judgement, doubts=doubts_in(quantized.warnings)))
    print_lines(
        [
            f"{output}: {sizes}, {formats}",
            *quantization_text(quantized.figure),
            f"{similarity_text(near.agreement, near.samples, near.sqnr_db)} on "
            f"{counted(near.samples, 'calibration sample')} in ONNX Runtime (no labels, so no "
            "accuracy)",
            f"plan: {quantized.result.plan_path}{hint}",
        ]
    )
    if plan.float_operators:
        left = ", ".join(f"{name} ({count})" for name, count in plan.float_operators.items())
        print_lines([f"left in float: {left}"])
    if recipe.explain.explain or recipe.explain.simulator:
        show_errors(quantized.errors)
    end_judged([judgement])
