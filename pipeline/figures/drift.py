"""Where along the chain a result is lost: form by form, and layer by layer in the quantized one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from onnx import ModelProto

from ...accuracy.compare import Comparison
from ...calibration_data.samples import Samples
from ...core.graphs.graph import Graph
from ...core.progress import Progress
from ...core.similarity import sqnr_db
from ...core.types import Array
from ...quantize.error_report import TensorError
from ...quantize.quantize import QuantizeResult
from ..tasks.explain import errors_of

WORST = 5  # layers that are named
# Closer than this, the error of a tensor is nothing that a layer could lose.
_PERFECT_DB = 60.0


class Drift:
    """The forms of one model in their order, each against the baseline and the form before."""

    def __init__(self, baseline_outputs: Sequence[Array]) -> None:
        self._before = list(baseline_outputs)
        self._value: float | None = None
        self._rows: list[dict[str, Any]] = []

    @property
    def rows(self) -> tuple[dict[str, Any], ...]:
        """A row a form, and rows with a ``layer`` of those that lose most in the quantized one."""
        return tuple(self._rows)

    def form(self, stage: str, found: Comparison, outputs: list[Array]) -> None:
        """Take in the next form; its outputs are kept until the one after it."""
        before = found.baseline_value if self._value is None else self._value
        now = found.candidate_value
        shaped = [one.reshape(ref.shape) for one, ref in zip(outputs, self._before, strict=True)]
        lost = None if before is None or now is None else now - before
        figures = (now, lost, found.agreement, found.sqnr_db, sqnr_db(self._before, shaped))
        self._rows.append(_row(stage, None, None, *figures))
        self._before, self._value = shaped, now

    def layers(
        self,
        model: ModelProto,
        result: QuantizeResult,
        calib: Samples,
        seed: int,
        progress: Progress,
    ) -> None:
        """Take in which layers of a quantized form lose most. Only int8 has such a report.

        ``model`` is the float model that was quantized. One pass over the held-out samples; the
        errors of tensors alone are not measured, as how many could be depends on the machine.
        """
        errors = errors_of(model, result, calib, seed, progress, seconds=0)
        for layer, operator, own, lost in worst_layers(model, errors):
            self._rows.append(_row("quantized", layer, operator, None, None, None, own, lost))


def _row(
    stage: str,
    layer: str | None,
    operator: str | None,
    value: float | None,
    change: float | None,
    agreement: float | None,
    db: float,
    step_db: float,
) -> dict[str, Any]:
    """A row; ``step_db`` is a form's SQNR to the one before, or what a layer loses of its input's.

    ``sqnr_db`` is against the float model.
    """
    return {
        **{"stage": stage, "layer": layer, "operator": operator, "value": value},
        **{"change": change, "agreement": agreement, "sqnr_db": db, "step_db": step_db},
    }


def worst_layers(
    model: ModelProto, errors: Iterable[TensorError]
) -> list[tuple[str, str, float, float]]:
    """Name, operator, SQNR and change of SQNR in dB of the layers that lose most, worst first.

    The change is from the layer's worst input, with all quantized; what stays in float passes on
    what it gets. The worst layer is that which adds most noise, relative to its signal: from 60 to
    40 dB is less than from 30 to 28.
    """
    own = {one.name: one.accumulated_db for one in errors if one.kind == "activation"}
    known: dict[str, float] = {name: _capped(own.get(name, math.inf)) for name in _inputs(model)}
    found: list[tuple[float, tuple[str, str, float, float]]] = []
    for node in Graph(model).nodes:
        came = min((known[name] for name in node.input if name in known), default=_PERFECT_DB)
        for name in node.output:
            known[name] = _capped(own[name]) if name in own else came
            if name in own and known[name] < came:
                added = _noise(known[name]) - _noise(came)
                found.append((added, (name, node.op_type, own[name], known[name] - came)))
    return [layer for _, layer in sorted(found, key=lambda one: -one[0])[:WORST]]


def _inputs(model: ModelProto) -> list[str]:
    return [one.name for one in model.graph.input]


def _noise(db: float) -> float:
    return float(10 ** (-db / 10))


def _capped(db: float) -> float:
    return min(db, _PERFECT_DB)
