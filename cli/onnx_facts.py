"""What is in an ONNX model, as lines and tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from .show import print_lines, print_table

if TYPE_CHECKING:
    from ..pipeline.inspection import ModelFacts

_CUTS = 12  # tensors to end at that are shown
_OPERATORS = 12  # kinds of operators, the most frequent first


def show_onnx(facts: ModelFacts) -> None:
    """Print what the model takes, gives and consists of, and where it may be ended earlier."""
    from ..report.text.family_text import family_text
    from ..report.text.units import count_text, size_text

    kind = "quantized (QDQ)" if facts.quantized else "float"
    if facts.rounded_for is not None:
        kind = f"float, its weights rounded for {facts.rounded_for}"
    parts = [size_text(facts.bytes), kind, f"opset {facts.opset}", facts.producer]
    lines = [
        f"{facts.path}: {', '.join(part for part in parts if part)}",
        *_value_lines("input ", facts.inputs, facts.input_types, facts.open_inputs),
        *_value_lines("output", facts.outputs, facts.output_types, {}),
        f"{count_text(facts.parameters)} parameters, {count_text(facts.macs)} MACs",
        f"operators: {_counts(facts.operators)}",
        *([family_text(facts.family)] if facts.family else []),
    ]
    print_lines(lines)
    _show_cuts(facts)


def show_layers(facts: ModelFacts, top: int) -> None:
    """Print the ``top`` layers with the most multiply-accumulates, and what can be pruned."""
    from ..report.text.units import count_text

    if facts.macs is None:
        print_lines(["layers: fix the dynamic inputs first, with --input NAME=SHAPE"])
        return
    rows = [
        (
            layer.name,
            layer.op,
            str(layer.cin),
            str(layer.cout),
            f"{layer.kernel_h}x{layer.kernel_w}",
            f"{layer.out_h}x{layer.out_w}",
            count_text(layer.macs),
        )
        for layer in sorted(facts.layers, key=lambda layer: -layer.macs)
    ]
    headings = ("layer", "kind", "in", "out", "kernel", "output", "MACs")
    print_table("layers, the dearest first", headings, rows[:top])
    frozen = ", ".join(f"{name} ({count})" for name, count in (facts.frozen or {}).items())
    by = f"; frozen by {frozen}" if frozen else ""
    left = [f"{len(rows) - top} cheaper layers: --top {len(rows)}"] if len(rows) > top else []
    print_lines([*left, f"{facts.prunable} channels can be pruned{by}"])


def show_tensors(facts: ModelFacts) -> None:
    """Print every tensor that the model can be ended at, those first where that makes sense."""
    from ..report.text.feed_text import shape_text

    reasons = {cut.tensor: cut.reason for cut in facts.cuts}
    names = sorted(facts.tensors, key=lambda name: name not in reasons)
    ends = [name for name in names if name not in facts.outputs]
    rows = ((shape_text(facts.tensors[name]), reasons.get(name, ""), name) for name in ends)
    print_lines(["tensors, for --outputs NAME,...", *_columns(rows)])


def _value_lines(
    direction: str,
    shapes: Mapping[str, tuple[int | None, ...]],
    types: Mapping[str, str],
    in_file: Mapping[str, tuple[int | None, ...]],
) -> Iterable[str]:
    from ..report.text.feed_text import shape_text

    for name, shape in shapes.items():
        taken = f", taken as {shape_text(shape)}" if name in in_file else ""
        text = shape_text(in_file.get(name, shape))
        yield f"{direction} {name} {text} {types.get(name, '')}".rstrip() + taken


def _counts(operators: Mapping[str, int]) -> str:
    counts = [f"{name} ({count})" for name, count in operators.items()]
    more = len(counts) - _OPERATORS
    return ", ".join(counts[:_OPERATORS]) + (f" and {more} more kinds" if more > 0 else "")


def _show_cuts(facts: ModelFacts) -> None:
    from ..report.text.feed_text import shape_text

    if facts.cuts:
        rows = ((shape_text(cut.shape), cut.reason, cut.tensor) for cut in facts.cuts)
        more = len(facts.cuts) - _CUTS
        left = f"{more} more, and all {len(facts.tensors)} tensors" if more > 0 else ""
        print_lines(
            [
                "earlier ends, for --outputs NAME,...",
                *_columns(rows)[:_CUTS],
                f"{left or f'all {len(facts.tensors)} tensors'}: --tensors",
            ]
        )


def _columns(rows: Iterable[tuple[str, str, str]]) -> list[str]:
    """Return lines of two columns and a name, which is the last so that it can be taken whole."""
    table = list(rows)
    widths = [max((len(row[column]) for row in table), default=0) for column in (0, 1)]
    return [f"  {row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]}" for row in table]
