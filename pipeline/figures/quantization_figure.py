"""How a model was quantized, as the report tells it."""

from __future__ import annotations

from ...core.results.model_figures import QuantizationFigure, TradeoffFigure
from ...quantize.quantize import QuantizeResult


def quantization_figure(
    quantized: QuantizeResult, factor: float = 1.0, fallback: str | None = None
) -> QuantizationFigure:
    """Return how a model was quantized; estimated times are multiplied by ``factor``.

    ``fallback`` is as in the figure.
    """
    plan = quantized.plan
    tradeoffs = (
        TradeoffFigure(
            len(choice.floating),
            choice.cycles_ratio,
            choice.sqnr_db,
            choice.size_ratio,
            choice.latency_ratio,
            None if choice.ms is None else factor * choice.ms,
        )
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
        fallback,
        quantized.training,
    )
