"""``rockpress prune``."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from .. import parameters as o
from ..progress_display import watching
from ..show import print_json, print_lines, print_table, print_verdict
from ..target_results import end_judged
from ..verb_options import OptionValues, VerbCommand, takes

if TYPE_CHECKING:
    from ...core.results.pruning_figures import Sparsity
    from ...prune.results.prune_result import PruneResult

_GROUPS = ("channels made by", "before", "after", "saves", "output error")
_ESTIMATED = ("cycles", "latency")

app = typer.Typer(add_completion=False)


@app.command(cls=VerbCommand)
@takes("prune")
def command(
    model: o.Model,
    output: o.OutputFile,
    options: OptionValues,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """Remove whole channels from an ONNX model, or make its weights sparse."""
    from ...pipeline.figures.judgements import judged
    from ...pipeline.figures.result_warnings import look_warnings
    from ...pipeline.prune_file import prune_file
    from ...pipeline.recipes.recipe import make_recipe
    from ...report.documents.document import judgement_document
    from ...report.text.pruning_text import blind_text
    from ...report.text.verdict import doubts_in, judgement_line

    with watching(quiet=quiet) as progress:
        pruned = prune_file(make_recipe(model, **options), output, progress)
    result, judgement = pruned.result, judged(pruned.comparison.parts)
    if as_json:
        document = {**judgement_document(judgement), **asdict(result), "path": str(result.path)}
        print_json({"schema": o.SCHEMA, **document})
    else:
        doubts = doubts_in(look_warnings(pruned.comparison))
        where = blind_text(result.unseen, pruned.comparison.samples)
        print_verdict(judgement_line(judgement, doubts=doubts, where=where))
        if result.budget is not None:
            _show_channels(result, result.budget.kind)
        if result.sparsity is not None:
            _show_sparsity(str(result.path), result.sparsity, where)
    end_judged([judgement])


def _show_channels(result: PruneResult, budget: str) -> None:
    """Print what was cut where, what it saves, and what more or less of it would have left."""
    from ...report.text.pruning_text import pruning_lines

    kind = budget.replace("macs", "MACs")
    rows = [
        (
            group.name,
            f"{group.before}",
            f"{group.after}",
            f"{group.saved:.1%}",
            f"{group.error:.4g}",
        )
        for group in result.groups
        if group.after < group.before
    ]
    print_table(str(result.path), _GROUPS, rows)
    curve = [
        (f"{point.cost_ratio - 1:+.1%}", f"{point.error:.4g}", f"{point.likeness:.3f}")
        for point in result.curve
    ]
    if curve:
        print_table("trade-off", (kind, "estimated error", f"{result.measure} at least"), curve)
    print_lines(
        f"tried {kind} {-attempt.share:+.1%}: {attempt.retention:.1%} left on held-out samples"
        for attempt in result.attempts
    )
    cost = f"{kind} (estimated)" if budget in _ESTIMATED else kind
    changes = (
        (cost, result.cost_before, result.cost_after),
        ("MACs", result.macs_before, result.macs_after),
        ("parameters", result.parameters_before, result.parameters_after),
    )
    # a budget in MACs names them twice
    ratios = {name: after / before for name, before, after in changes}
    print_lines(f"{name} {ratio - 1:+.1%}" for name, ratio in ratios.items())
    print_lines(pruning_lines(result.blocks, result.choice, result.distillation, None))
    if result.merged:
        names = ", ".join(result.merged)
        print_lines([f"one with the layer after it, which is cheaper: {names}"])
    if result.frozen:
        stops = ", ".join(f"{name} ({count})" for name, count in result.frozen.items())
        print_lines([f"left whole around operators without a rule: {stops}"])


def _show_sparsity(path: str, sparsity: Sparsity, where: str) -> None:
    rows = [
        (layer.name, layer.axis, f"{layer.weights:,}", f"{layer.error:.2%}")
        for layer in sparsity.layers
    ]
    print_table(path, ("2:4 sparse layer", "along its", "weights", "lost of its output"), rows)
    zeros = sum(layer.weights for layer in sparsity.layers) // 2
    left = f"; left dense: {', '.join(sparsity.dense)}" if sparsity.dense else ""
    print_lines([f"{zeros:,} weights are zero now{left}"])
    print_lines([f"{sparsity.measure} {sparsity.likeness:.3f} with the dense model{where}"])
