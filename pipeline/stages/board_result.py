"""What a board gave, beside the simulator: its figures, and whether the two agree."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...accuracy.compare import Comparison, compare
from ...convert.compiled_model import CompiledModel
from ...convert.fidelity import CLOSE_DB, LEAST_DB, TOLERANCE_DB
from ...core.diagnostics import Diagnostic, option
from ...core.results.board_comparison import (
    BoardFigure,
    LayerComparison,
    LayerDifference,
    SimulatorFigure,
)
from ...core.results.model_figures import LatencyFigure, ModelRow
from ...core.results.part_figures import worst_part
from ...core.streaming.part_similarity import compared
from ...core.types import Array
from ..figures.bench_warnings import bench_warnings
from ..figures.figures_of import accuracy_figure
from ..tasks.board_run import BoardRun
from .baseline import Baseline

_LOOK = (
    f"{option('layers')} of a check says which layer differs first; and try another version of "
    "librknnrt.so"
)


@dataclass(frozen=True)
class BoardResult:
    """How the board's outputs compare with the baseline's, and what the report says of it."""

    comparison: Comparison
    figure: BoardFigure
    warnings: tuple[Diagnostic, ...]

    def row(self, row: ModelRow) -> ModelRow:
        """Return the row of the file with what the board took first, and its accuracy."""
        latency = LatencyFigure("board", self.figure.run_ms.p50)
        accuracy = accuracy_figure(self.comparison, "board")
        return replace(row, latency=(latency, *row.latency), accuracy=accuracy)

    def with_layers(self, layers: LayerComparison) -> BoardResult:
        """Return it with what the layers gave, and a warning where they say something."""
        # to look at the layers is nothing to advise any more
        own = (replace(each, hint="") if each.hint == _LOOK else each for each in self.warnings)
        warnings = (*own, *layer_warnings(layers))
        return replace(self, figure=replace(self.figure, layers=layers), warnings=warnings)


def board_result(
    base: Baseline,
    run: BoardRun,
    built: CompiledModel,
    simulated: Sequence[Array] | None,
    warnings: Sequence[Diagnostic] = (),
) -> BoardResult:
    """Return the figures of a file on a board, beside the ``simulated`` outputs of the same.

    ``built`` says how the file was built, ``warnings`` are those of its build.
    """
    comparison, facts, timings = base.compared(run.outputs), run.facts, run.timings
    simulator = None
    if simulated is not None:
        simulator = _simulator_figure(base, comparison, run.outputs, built, simulated)
    figure = BoardFigure(
        *(facts.board, facts.chip, facts.runtime, facts.driver),
        timings.run,
        timings.agrees,
        simulator,
    )
    return BoardResult(
        comparison,
        figure,
        (*_difference(figure, comparison, built, warnings), *bench_warnings(timings, facts)),
    )


def _simulator_figure(
    base: Baseline,
    on_board: Comparison,
    outputs: Sequence[Array],
    built: CompiledModel,
    simulated: Sequence[Array],
) -> SimulatorFigure:
    in_simulator = base.compared(list(simulated))
    shaped = [
        output.reshape(reference.shape)
        for output, reference in zip(outputs, simulated, strict=True)
    ]
    parts = compared(base.parts, simulated, shaped)
    worst, retention = worst_part(parts).sqnr_db, in_simulator.retention
    agreement = None
    if all(np.isfinite(output).all() for output in (*simulated, *shaped)):
        agreement = compare(simulated, shaped, None, base.scoring, base.seed, base.parts).agreement
    # rounding grows where quantization costs much; then the board need only be as good as that
    is_as_good = on_board.sqnr_db >= in_simulator.sqnr_db - TOLERANCE_DB
    least = CLOSE_DB if built.quantization == "float16" else LEAST_DB
    return SimulatorFigure(
        value=in_simulator.candidate_value,
        retention=retention.value if retention else None,
        low=retention.low if retention else None,
        high=retention.high if retention else None,
        agreement=agreement,
        sqnr_db=worst,
        parts=parts,
        is_rounding=worst >= least or (worst > 0 and is_as_good),
    )


def _difference(
    figure: BoardFigure,
    on_board: Comparison,
    built: CompiledModel,
    warnings: Sequence[Diagnostic],
) -> Iterator[Diagnostic]:
    """Yield a board that computes something else than the simulator, with what is known of why."""
    simulator = figure.simulator
    if simulator is None or not figure.differs:
        return
    change = ""
    if simulator.value is not None and on_board.candidate_value is not None:
        values = f"{on_board.candidate_value:.4f} instead of {simulator.value:.4f}"
        change = f", {on_board.metric} {values}"
    yield Diagnostic(
        "board-differs",
        "the board computes something else than the simulator, more than rounding explains: "
        f"{_distance(simulator.sqnr_db)}{change}",
        "; ".join(_causes(figure, built, warnings)),
    )


def layer_warnings(layers: LayerComparison) -> Iterator[Diagnostic]:
    """Yield what the layers say of why a board differs from the simulator."""
    if layer := layers.first_layer:
        yield Diagnostic(
            "board-layer",
            f"the first layer that differs on the board beyond rounding is {layer.name!r} "
            f"({layer.op}): {_layer_distance(layer)}",
            "try another version of librknnrt.so, or end the model before that layer with "
            f"{option('outputs')}",
        )
    if layers.is_joined:
        yield Diagnostic(
            "board-joined",
            "the board differs from the simulator, but not when the results of layers are outputs "
            "too: it is how layers are joined that differs",
            f"build it with {option('toolkit-level', 2)}, which joins fewer",
        )


def _layer_distance(layer: LayerDifference) -> str:
    if not math.isfinite(layer.max_steps):
        return "values that are not finite"
    return f"SQNR {layer.sqnr_db:.1f} dB between the two, by up to {layer.max_steps:.3g} steps"


def _causes(
    figure: BoardFigure, built: CompiledModel, warnings: Sequence[Diagnostic]
) -> Iterator[str]:
    """Yield what to do about the causes that are known; where there is none, how to look."""
    is_older = figure.runtime is not None and _numbers(figure.runtime) < _numbers(built.toolkit)
    if is_older:
        yield (
            f"its runtime {figure.runtime} is older than rknn-toolkit2 {built.toolkit}, which made "
            f"the file: install librknnrt.so {built.toolkit} there"
        )
    has_faults = any(warning.code == "toolkit-regtask" for warning in warnings)
    if has_faults:
        yield "the compiler printed register errors: build it another way, as their hint says"
    if not (is_older or has_faults):
        yield _LOOK


def _numbers(version: str) -> tuple[int, ...]:
    """Return the numbers of a version, such as 2.3.2, without what may come after them."""
    parts = version.split(".")[:3]
    return tuple(int(part) for part in parts if part.isdigit())


def _distance(decibel: float) -> str:
    if math.isnan(decibel):
        return "values that are not finite"
    return f"SQNR {decibel:.1f} dB between the two"
