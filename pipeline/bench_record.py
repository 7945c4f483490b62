"""What was measured on a board, appended to the record that estimates take their scale from."""

from __future__ import annotations

from pathlib import Path
from statistics import median

from ..convert.latency.run_writer import append_runs
from ..convert.latency.timed_runs import Clocks, MedianTime, TimedLayer, TimedModel, TimedRun
from ..convert.manifest import Manifest
from ..core.files import real_path
from ..core.results.bench_figures import BoardBench
from ..core.results.board_figures import ClockReading, ContextRate

_HZ = 1e6  # of a MHz


def append_bench(record: Path, bench: BoardBench, rknn: Path, manifest: Manifest | None) -> None:
    """Append the runs of a bench: the NPU alone, and what an application has by contexts.

    Raises OutputError or ReportError.
    """
    append_runs(record, timed_runs(bench, _model(record, bench, rknn), manifest))


def timed_runs(
    bench: BoardBench, model: TimedModel, manifest: Manifest | None
) -> tuple[TimedRun, ...]:
    """Return the runs of a bench as a record has them."""
    layers = tuple(TimedLayer(layer.name, layer.op, layer.us) for layer in bench.layers)
    common = {
        "model": model,
        "chip": bench.model.target,
        "clocks": _clocks(bench),
        "runtime": bench.loaded.api_version or bench.board.runtime,
        "driver": bench.loaded.driver_version or bench.board.driver,
        "toolkit": bench.model.toolkit,
        "date": bench.date,
    }
    table = manifest.layers if manifest else ()
    alone = TimedRun(
        measured="npu",
        ms=MedianTime(bench.run.p50 / bench.model.rows, bench.run.n),
        layers=layers,
        table=table,
        **common,  # type: ignore[arg-type]
    )
    runs = len(bench.timings.rounds[0])
    rates = [rate for rate in bench.timings.contexts if rate.fps]
    return alone, *(
        TimedRun(
            measured="application",
            ms=MedianTime(_frame_ms(rate, bench.model.rows), rate.contexts * runs),
            contexts=rate.contexts,
            **common,  # type: ignore[arg-type]
        )
        for rate in rates
    )


def _frame_ms(rate: ContextRate, rows: int) -> float:
    """Return what one sample takes in a context, with all of them at work."""
    return 1000 * rate.contexts / (rate.fps or 1) / rows


def _model(record: Path, bench: BoardBench, rknn: Path) -> TimedModel:
    """Return the model; its file is named where it lies below the record."""
    folder, file = real_path(record).parent, real_path(rknn)
    name = file.relative_to(folder).as_posix() if file.is_relative_to(folder) else None
    return TimedModel(bench.model.name, bench.model.digest, name)


def _clocks(bench: BoardBench) -> Clocks:
    states = bench.timings.during or (bench.timings.before,)
    cpu = [max(state.cpu, key=lambda clock: clock.hz or 0) for state in states if state.cpu]
    return Clocks(
        npu=_mhz([state.npu for state in states]),
        ddr=_mhz([state.ddr for state in states]),
        cpu=_mhz(cpu),
    )


def _mhz(clocks: list[ClockReading] | list[ClockReading | None]) -> float | None:
    frequencies = [clock.hz / _HZ for clock in clocks if clock is not None and clock.hz]
    return median(frequencies) if frequencies else None
