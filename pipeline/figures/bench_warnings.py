"""What makes the figures of a board other than those that it would have at its best."""

from __future__ import annotations

from collections.abc import Iterator

from ...core.diagnostics import Diagnostic, option
from ...core.results.board_figures import BoardFacts, BoardTimings, ClockReading

_BUSY = 10  # per cent of load before anything of ours runs
_GROWTH = 1024  # bytes a run


def bench_warnings(timings: BoardTimings, facts: BoardFacts) -> tuple[Diagnostic, ...]:
    """Return warnings on clocks, other load, times that differ, and memory that grows."""
    return (*_left_clocks(facts), *_warnings(timings))


def _left_clocks(facts: BoardFacts) -> Iterator[Diagnostic]:
    """Yield what an earlier measurement has left on the board when it was killed."""
    if governors := (*facts.clocks_put_back, *facts.clocks_left):
        mend = "they are put back"
        if facts.clocks_left:
            mend = f"as root, write it into each: {'; '.join(facts.clocks_left)}"
        yield Diagnostic(
            "board-clocks-left",
            "an earlier measurement that was killed has left clocks at their maximum: "
            f"{len(governors)}",
            mend,
        )


def _warnings(timings: BoardTimings) -> Iterator[Diagnostic]:
    slow = _slow_clocks(timings)
    if timings.is_throttled:
        yield Diagnostic(
            "board-throttled",
            "the NPU became slower while it was measured",
            "let the board cool down, or give it a fan; the times are those of a hot board",
        )
    elif slow:
        yield Diagnostic(
            "board-clock",
            f"clocks were below their maximum: {', '.join(slow)}",
            "the times grow with it: set the governors there, or measure with "
            f"{option('set-clocks')} of rockpress bench",
        )
    if not timings.agrees:
        yield Diagnostic(
            "board-unsettled",
            "the medians of the last three rounds differ by more than 2 %",
            "end other programs there, or take more runs a round with "
            f"{option('runs')} of rockpress bench",
        )
    load = timings.before.npu_load
    if load is not None and load >= _BUSY:
        yield Diagnostic(
            "board-busy",
            f"something else used the NPU before: a load of {load:.0f} %",
            "end it and measure again",
        )
    drift = timings.drift
    if drift is not None and drift.bytes_per_run > _GROWTH:
        yield Diagnostic(
            "board-memory",
            f"the process grew by {drift.bytes_per_run / 1024:.1f} KiB a run in {drift.runs} runs",
            "update librknnrt.so there; restart a program that runs for days now and then",
        )


def _slow_clocks(timings: BoardTimings) -> list[str]:
    """Return NPU and DDR with their clocks where they were below the maximum all the time."""
    states = timings.during or (timings.before,)
    named = [("NPU", [state.npu for state in states]), ("DDR", [state.ddr for state in states])]
    return [
        f"{name} {clock.hz / 1e6:.0f} of {clock.max_hz / 1e6:.0f} MHz"
        for name, readings in named
        if (clock := _fastest(readings)) and clock.is_below_maximum and clock.hz and clock.max_hz
    ]


def _fastest(readings: list[ClockReading | None]) -> ClockReading | None:
    there = [reading for reading in readings if reading is not None and reading.hz is not None]
    return max(there, key=lambda reading: reading.hz or 0, default=None)
