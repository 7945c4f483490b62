"""What was measured on a board, in lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...core.results.bench_figures import BoardBench, MeasuredLayer
from ...core.results.board_figures import UNTRIED, BoardConditions, ClockReading, TimeSpread
from .latency_text import latency_text
from .units import UNKNOWN, counted, ms_text, number_text, size_text

LAYER_HEADINGS = ("layer", "operator", "on", "measured us", "estimated us", "ratio")


def bench_lines(bench: BoardBench) -> list[str]:
    """Return all lines but those of the layers."""
    return [
        _title(bench),
        *_time_lines(bench),
        *_rate_lines(bench),
        *_memory_lines(bench),
        *_energy_lines(bench),
        *_state_lines(bench),
        UNTRIED,
    ]


def layer_cells(layer: MeasuredLayer) -> tuple[str, ...]:
    """Return the cells of a layer's row.

    >>> layer_cells(MeasuredLayer("Conv:stem", "ConvRelu", "NPU", 150.0, 100.0))
    ('Conv:stem', 'ConvRelu', 'NPU', '150', '100', '1.50')
    """
    estimated = number_text(layer.estimated_us, ".0f")
    ratio = number_text(layer.ratio, ".2f")
    return layer.name, layer.op, layer.runs_on, f"{layer.us:.0f}", estimated, ratio


def _title(bench: BoardBench) -> str:
    board, model, loaded = bench.board, bench.model, bench.loaded
    name = board.board or "a board that does not say its name"
    runtime = loaded.api_version or board.runtime or "unknown"
    driver = loaded.driver_version or board.driver or "unknown"
    return (
        f"{model.name}.rknn on {name} ({board.chip or model.target}): "
        f"librknnrt {runtime}, driver {driver}, built by rknn-toolkit2 {model.toolkit}"
    )


def _time_lines(bench: BoardBench) -> Iterator[str]:
    timings, loaded = bench.timings, bench.loaded
    rounds = counted(len(timings.rounds), "round")
    agree = "the last 3 agree within 2 %" if timings.agrees else "the last 3 do not agree"
    runs = f"{bench.run.n} runs in {rounds}, {agree}"
    yield f"NPU {_spread(bench.run)} ({runs}), measured{_rows(bench)}"
    if bench.npu is not None:
        yield f"by the runtime's own clock {_spread(bench.npu)}"
    if bench.estimate is not None:
        ratio = f": measured is {bench.ratio:.2f} times that" if bench.ratio else ""
        yield f"{latency_text(bench.estimate)}{ratio}"
    if bench.layers_ratio is not None:
        yield f"layers: measured is {bench.layers_ratio:.2f} times what was estimated of them"
    yield (
        f"beside it: inputs {ms_text(timings.set_ms.p50)}, outputs as stored "
        f"{ms_text(timings.get_ms.p50)}; loading {ms_text(loaded.init_ms)}, "
        f"first run {ms_text(timings.first_run_ms)}"
    )


def _rows(bench: BoardBench) -> str:
    rows = bench.model.rows
    return f", a run of {rows} samples" if rows > 1 else ""


def _spread(times: TimeSpread) -> str:
    return f"{ms_text(times.p50)} (p90 {times.p90:.2f}, p99 {times.p99:.2f})"


def _rate_lines(bench: BoardBench) -> Iterator[str]:
    rates = bench.timings.contexts
    counted_rates = [
        f"{_rate(rate.fps * bench.model.rows)} fps with {counted(rate.contexts, 'context')}"
        for rate in rates
        if rate.fps is not None
    ]
    if counted_rates:
        several = ", each on a core of its own" if len(rates) > 1 else ""
        yield f"{', '.join(counted_rates)}{several}, inputs and outputs included"
    for rate in rates:
        if rate.problem is not None:
            yield f"{counted(rate.contexts, 'context')}: {rate.problem}"


def _rate(fps: float) -> str:
    return f"{fps:.{0 if fps >= 100 else 1}f}"


def _memory_lines(bench: BoardBench) -> Iterator[str]:
    memory, drift = bench.loaded.memory, bench.timings.drift
    if memory is not None:
        yield (
            f"memory {size_text(memory.weight_bytes)} for weights, "
            f"{size_text(memory.internal_bytes)} for feature maps, "
            f"{size_text(memory.dma_bytes)} in all"
        )
    if drift is not None:
        yield f"growth {drift.bytes_per_run / 1024:.2f} KiB a run, over {drift.runs} runs"


def _energy_lines(bench: BoardBench) -> Iterator[str]:
    for energy in bench.timings.energy:
        yield (
            f"energy {energy.millijoules:.1f} mJ a run by {energy.sensor}: "
            f"{energy.busy_watts:.2f} W at work, {energy.idle_watts:.2f} W idle taken off"
        )


def _state_lines(bench: BoardBench) -> Iterator[str]:
    timings = bench.timings
    states = (timings.before, *timings.during, timings.after)
    clocks = [
        _clock("NPU", [state.npu for state in states]),
        _clock("DDR", [state.ddr for state in states]),
        *_cpu_clocks(states),
    ]
    yield f"clocks {', '.join(filter(None, clocks)) or UNKNOWN}"
    load = timings.before.npu_load
    yield f"load before {UNKNOWN if load is None else f'{load:.0f} %'}; {_heat(timings.before)}"
    if timings.after.temperatures:
        yield f"afterwards {_heat(timings.after)}"


def _heat(state: BoardConditions) -> str:
    degrees = [f"{zone} {value:.0f}" for zone, value in state.temperatures.items()]
    return f"°C: {', '.join(degrees)}" if degrees else "no temperature can be read"


def _cpu_clocks(states: Sequence[BoardConditions]) -> list[str]:
    policies = range(max(len(state.cpu) for state in states))
    return [
        _clock("CPU", [state.cpu[place] for state in states if place < len(state.cpu)])
        for place in policies
    ]


def _clock(name: str, readings: Sequence[ClockReading | None]) -> str:
    """Return from what to what a clock was, and what it can be."""
    there = [reading for reading in readings if reading is not None]
    mhz = sorted({round(reading.hz / 1e6) for reading in there if reading.hz is not None})
    if not mhz:
        return ""
    most, governor = there[0].max_hz, there[0].governor
    span = f"{mhz[0]} to {mhz[-1]}" if len(mhz) > 1 else f"{mhz[0]}"
    limit = f" of {most / 1e6:.0f}" if most else ""
    return f"{name} {span}{limit} MHz{f' ({governor})' if governor else ''}"
