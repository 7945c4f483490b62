"""What was measured on a board, in words."""

from __future__ import annotations

import math

from ...core.results.board_comparison import BoardFigure, SimulatorFigure
from ...core.results.board_figures import UNTRIED
from ...core.results.model_figures import LatencyFigure, RetentionFigure
from ...core.results.prediction_rows import PredictionReport
from ...core.results.report import TargetReport
from .board_layers_text import layers_lines
from .similarity_text import agreement_text, decibel_text, part_name
from .units import digits_text, ms_text

_LONGEST = 100  # characters of what a board says


def where_text(target: TargetReport) -> str:
    """Return what the result ran on, where that was a board."""
    return " on the board" if target.board else ""


def predicted_line(report: PredictionReport) -> str:
    """Return which models said it on a board, "" without one."""
    if report.board is None:
        return ""
    files = [file for file in (report.model, report.against) if file is not None]
    names = {file.name: None for file in files if file.suffix.lower() == ".rknn"}
    return f"{' and '.join(names)} on the board at {report.board} ({UNTRIED})"


def board_lines(target: TargetReport) -> list[str]:
    """Return which board, its time beside the estimate, and how far it is from the simulator."""
    figure = target.board
    if figure is None:
        return []
    estimate = target.models[-1].predicted if target.models else None
    return [
        f"on the board: {board_name(figure)} ({UNTRIED})",
        f"time on the board: {time_text(figure, estimate)}",
        *simulator_lines(figure.simulator, target.retention),
        *layers_lines(figure.layers),
    ]


def board_name(figure: BoardFigure) -> str:
    """Return what the board says of itself.

    >>> from ...core.results.board_figures import TimeSpread
    >>> times = TimeSpread(5.1, 5.2, 5.9, 300)
    >>> board_name(BoardFigure("Orange Pi 5", "rk3588", "2.3.2", None, times, True))
    'Orange Pi 5, rk3588, runtime 2.3.2'
    """
    runtime = f"runtime {figure.runtime}" if figure.runtime else None
    driver = f"driver {figure.driver}" if figure.driver else None
    said = [part[:_LONGEST] for part in (figure.board, figure.chip, runtime, driver) if part]
    return ", ".join(said) or "it says nothing of itself"


def time_text(figure: BoardFigure, estimate: LatencyFigure | None) -> str:
    """Return the milliseconds of one inference, and these over the estimate.

    >>> from ...core.results.board_figures import TimeSpread
    >>> times = TimeSpread(5.1, 5.2, 5.9, 300)
    >>> board = BoardFigure("Orange Pi 5", "rk3588", "2.3.2", None, times, False)
    >>> time_text(board, LatencyFigure("npu-estimate", 5.0))
    '5.10 ms (p90 5.20, p99 5.90, 300 runs; not settled), 1.02 times the estimate'
    """
    times = figure.run_ms
    unsettled = "" if figure.is_settled else "; not settled"
    ends = f"p90 {digits_text(times.p90)}, p99 {digits_text(times.p99)}, {times.n} runs{unsettled}"
    text = f"{ms_text(times.p50)} ({ends})"
    if estimate is None or not estimate.ms:
        return text
    return f"{text}, {digits_text(times.p50 / estimate.ms)} times the estimate"


def simulator_lines(simulator: SimulatorFigure | None, board: RetentionFigure) -> list[str]:
    """Return how far the board is from the simulator, and what the metric is in that."""
    if simulator is None:
        return ["nothing was simulated: all figures of the result are the board's"]
    lines = [f"the board against the simulator: {difference_text(simulator, board.samples)}"]
    if len(simulator.parts) > 1:
        parts = (f"{part_name(part)} {decibel_text(part.sqnr_db)} dB" for part in simulator.parts)
        lines.append(f"the board against the simulator, each part: {', '.join(parts)}")
    if simulator.value is not None:
        retention = "" if simulator.retention is None else f", retention {simulator.retention:.4f}"
        lines.append(f"in the simulator: {board.metric} {simulator.value:.4f}{retention}")
    return lines


def difference_text(simulator: SimulatorFigure, samples: int) -> str:
    """Return how far the board's outputs of so many samples are from the simulator's.

    >>> difference_text(SimulatorFigure(None, None, None, None, 0.9925, 41.23, (), True), 400)
    'agreement 99.2% (97.8 to 99.7%), SQNR 41.2 dB, which rounding explains'
    >>> difference_text(SimulatorFigure(None, None, None, None, None, math.inf, (), True), 400)
    'equal outputs'
    """
    if math.isinf(simulator.sqnr_db) and simulator.sqnr_db > 0:
        return "equal outputs"
    agreement = simulator.agreement
    agreed = "" if agreement is None else f"agreement {agreement_text(agreement, samples)}, "
    why = "which rounding explains" if simulator.is_rounding else "more than rounding explains"
    return f"{agreed}SQNR {decibel_text(simulator.sqnr_db)} dB, {why}"
