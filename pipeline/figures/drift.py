"""Where along the chain a result is lost: form by form, and layer by layer in the quantized one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from onnx import ModelProto

from ...accuracy.compare import Comparison
from ...core.graphs.graph import Graph
from ...core.graphs.output_parts import OutputPart
from ...core.results.part_figures import worst_part
from ...core.results.sample_rows import DriftRow
from ...core.streaming.part_similarity import compared
from ...core.types import Array
from ...quantize.error_report import TensorError

WORST = 5  # layers that are named
# Closer than this, the error of a tensor is nothing that a layer could lose.
_PERFECT_DB = 60.0


class DriftMeter:
    """Each form of one model in its order against the baseline and the form before."""

    def __init__(self, baseline_outputs: Sequence[Array], parts: Sequence[OutputPart] = ()) -> None:
        self._parts = parts
        self._before = list(baseline_outputs)
        self._value: float | None = None
        self._rows: list[DriftRow] = []

    @property
    def rows(self) -> tuple[DriftRow, ...]:
        """A row a form, and rows with a ``layer`` of those that lose most in the quantized one."""
        return tuple(self._rows)

    def form(self, stage: str, comparison: Comparison, outputs: list[Array]) -> None:
        """Take in the next form; its outputs are held until the one after it."""
        before = comparison.baseline_value if self._value is None else self._value
        now = comparison.candidate_value
        pairs = zip(outputs, self._before, strict=True)
        shaped = [output.reshape(reference.shape) for output, reference in pairs]
        self._rows.append(
            DriftRow(
                stage,
                layer=None,
                operator=None,
                value=now,
                change=None if before is None or now is None else now - before,
                agreement=comparison.agreement,
                sqnr_db=comparison.sqnr_db,
                step_db=worst_part(compared(self._parts, self._before, shaped)).sqnr_db,
            )
        )
        self._before, self._value = shaped, now

    def layers(self, model: ModelProto, errors: Iterable[TensorError]) -> None:
        """Take in which layers of a quantized form of the float ``model`` lose most."""
        for layer, operator, own, lost in worst_layers(model, errors):
            row = DriftRow("quantized", layer, operator, None, None, None, own, lost)
            self._rows.append(row)


def worst_layers(
    model: ModelProto, errors: Iterable[TensorError]
) -> list[tuple[str, str, float, float]]:
    """Return name, operator, SQNR and change of SQNR in dB of the layers that lose most.

    The change is from the layer's worst input, with all quantized; what stays in float passes on
    what it gets. The worst come first: those that add most noise, relative to their signal. From 60
    to 40 dB is less than from 30 to 28.
    """
    own = {error.name: error.accumulated_db for error in errors if error.kind == "activation"}
    decibels = {value.name: _capped(own.get(value.name, math.inf)) for value in model.graph.input}
    losses: list[tuple[float, tuple[str, str, float, float]]] = []
    for node in Graph(model).nodes:
        before = min(
            (decibels[name] for name in node.input if name in decibels), default=_PERFECT_DB
        )
        for name in node.output:
            decibels[name] = _capped(own[name]) if name in own else before
            if name in own and decibels[name] < before:
                added = _noise(decibels[name]) - _noise(before)
                layer = (name, node.op_type, own[name], decibels[name] - before)
                losses.append((added, layer))
    return [layer for _, layer in sorted(losses, key=lambda loss: -loss[0])[:WORST]]


def _noise(db: float) -> float:
    return float(10 ** (-db / 10))


def _capped(db: float) -> float:
    return min(db, _PERFECT_DB)
