"""From a quantization to its figure in the report."""

from __future__ import annotations

from ...core.results.model_figures import QuantizationFigure, TradeoffFigure
from ...quantize.quantize import QuantizeResult


def quantization_figure(quantized: QuantizeResult) -> QuantizationFigure:
    """Return how a model was quantized."""
    plan = quantized.plan
    tradeoffs = (
        TradeoffFigure(len(choice.floating), choice.cycles_ratio, choice.sqnr_db, choice.size_ratio)
        for choice in plan.tradeoffs
    )
    return QuantizationFigure(
        plan.method,
        plan.held_out,
        plan.candidates,
        len(plan.high_precision),
        tuple(tradeoffs),
        plan.metric or None,
        plan.scores,
        plan.chosen_by,
        plan.high_precision_dtype,
    )
