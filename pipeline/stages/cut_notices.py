"""What ending a model earlier would save, told once the layer table of a build is there."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from ...convert.convert import Conversion
from ...convert.latency.cut_savings import ms_behind
from ...core.diagnostics import Diagnostic
from ...core.graphs.graph import Graph
from ...quantize.join_notices import CODE, join_notices
from .target_run import TargetRun


def with_cut_savings(
    warnings: Iterable[Diagnostic], run: TargetRun, conversion: Conversion
) -> list[Diagnostic]:
    """Return the warnings, those on joined outputs with the milliseconds that a cut saves."""
    if run.quantized is None:
        return list(warnings)
    saved = partial(
        ms_behind,
        conversion.layers,
        run.target,
        run.float_model,
        toolkit=conversion.toolkit,
        scale=run.scale,
    )
    graph = Graph(run.float_model)
    with_savings = {
        notice.subject: notice for notice in join_notices(graph, run.quantized.plan, saved)
    }
    return [
        with_savings.get(warning.subject, warning) if warning.code == CODE else warning
        for warning in warnings
    ]
