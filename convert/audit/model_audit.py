"""Warnings about a model before minutes are spent on its conversion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from onnx import ModelProto

from ...core.diagnostics import Diagnostic
from ...core.types import Range
from ..chips.targets import Target
from .audit_view import view_of
from .float16_audit import overflow_warnings
from .graph_audit import (
    channel_warnings,
    fusion_warnings,
    opset_warnings,
    selection_tail,
    suppression_warnings,
)
from .operator_audit import operator_warnings
from .range_audit import join_warnings


def audit(
    model: ModelProto,
    target: Target,
    *,
    quantization: str,
    means: Mapping[str, Sequence[float]] | None = None,
    stds: Mapping[str, Sequence[float]] | None = None,
    ranges: Mapping[str, Range] | None = None,
    toolkit: str | None = None,
    keeps_parts_apart: bool = False,
) -> tuple[Diagnostic, ...]:
    """Warn of what will go wrong, or slower than need be, with a prepared model, unbuilt.

    ``model`` is the float model or a QDQ one, whose scales say its ranges. ``quantization`` is
    float16, qdq or one of the toolkit's quantizers (all int8). ``means`` and ``stds`` map input
    name -> one value a channel. ``ranges`` maps tensor name -> (min, max) over calibration samples
    (see float16_audit.observe); checks that need a range that is not known are left out.
    ``toolkit`` is the installed version, for messages. With ``keeps_parts_apart`` what an output
    joins is not stored in one scale of int8, though the model is a float one. Takes milliseconds a
    megabyte.

    >>> from onnx import parser
    >>> from rockpress.convert.chips.targets import find_target
    >>> text = '''<ir_version: 8, opset_import: ["": 13]>
    ...     g (float[1,4,8,8] x) => (float[1,4,8,8] y) { y = Exp(x) }'''
    >>> [warning.code for warning in audit(parser.parse_model(text), find_target("rk3588"),
    ...                            quantization="float16")]
    ['cpu-fallback-operator']
    """
    view = view_of(model, ranges)
    warnings: list[Diagnostic] = [*opset_warnings(model, toolkit)]
    warnings += channel_warnings(model, means or {}, stds or {})
    if quantization != "float16":
        warnings += () if keeps_parts_apart else join_warnings(view)
        warnings += fusion_warnings(view.graph)
    if quantization in {"float16", "qdq"}:
        warnings += overflow_warnings(view)
    warnings += suppression_warnings(view.graph)
    cut = {name for node in selection_tail(view.graph) for name in node.output}
    warnings += operator_warnings(view, target, quantization, cut)
    return tuple(warnings)
