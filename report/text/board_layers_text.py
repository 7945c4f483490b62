"""Which layer differs first on a board from the simulator, in words and as rows."""

from __future__ import annotations

import math

from ...core.percents import percent_text
from ...core.results.board_comparison import LayerComparison, LayerDifference
from .similarity_text import decibel_text
from .units import counted, finite, number_text

LAYER_HEADINGS = ("what the layer writes", "layer", "SQNR in dB", "most steps", "beyond one")


def layers_lines(comparison: LayerComparison | None) -> list[str]:
    """Return what the layers say, and how much of the model was looked at."""
    if comparison is None:
        return []
    builds, seen = counted(comparison.builds, "build"), len(comparison.layers)
    own = "are the same as those"
    if not math.isinf(comparison.outputs_db):
        own = f"have {decibel_text(comparison.outputs_db)} dB against those"
    return [
        layers_text(comparison),
        f"{seen} of {comparison.count} layers were looked at, as outputs of {builds}, which "
        f"changes what is joined: the model's own outputs on the board {own} without",
    ]


def layers_text(comparison: LayerComparison) -> str:
    """Return which layer differs first.

    >>> layer = LayerDifference("c5", "ConvRelu", 0.1, 12.34, 31.0, 0.25, False)
    >>> layers_text(LayerComparison(8, 40, 2, (layer,), "c5", 20.0, False))
    "the first layer that differs beyond rounding: 'c5' (ConvRelu), SQNR 12.3 dB, by up to 31 steps"
    """
    first = comparison.first_layer
    if first is not None:
        return f"the first layer that differs beyond rounding: {_layer_text(first)}"
    shown = next((layer for layer in comparison.layers if not layer.is_rounding), None)
    if shown is not None:
        return (
            f"the board's outputs are right: only as an extra output {_layer_text(shown)} differs"
        )
    if comparison.is_joined:
        return "no layer differs once each is an output: it is how they are joined that differs"
    worst = max(comparison.layers, key=lambda layer: layer.max_steps, default=None)
    if worst is None or worst.max_steps == 0:
        return "no layer differs on the board from the simulator"
    return f"no layer differs beyond rounding, the most {_layer_text(worst)}"


def layer_rows(comparison: LayerComparison) -> list[tuple[str, ...]]:
    """Return a row for each layer that was looked at, as they follow each other."""
    return [
        (
            layer.name,
            layer.op,
            decibel_text(layer.sqnr_db),
            number_text(layer.max_steps, ".3g"),
            percent_text(layer.share),
        )
        for layer in comparison.layers
    ]


def _layer_text(layer: LayerDifference) -> str:
    if finite(layer.max_steps) is None:
        return f"{layer.name!r} ({layer.op}), values that are not finite"
    steps = f"{layer.max_steps:.3g} step{'' if layer.max_steps == 1 else 's'}"
    return f"{layer.name!r} ({layer.op}), SQNR {decibel_text(layer.sqnr_db)} dB, by up to {steps}"
