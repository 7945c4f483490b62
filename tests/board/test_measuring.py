"""The figures of a board are what the stand-in for its runtime was set to.

None rests on how fast this machine is: the stand-in sleeps to a deadline, takes off the next run
what it slept too long, and tells the time of a run itself.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest

from rockpress.board.agent.measuring import _agree as agree
from rockpress.board.agent.measuring import _spread as spread
from rockpress.board.board_session import BenchSettings, BoardSession
from rockpress.board.links.local import LocalLink
from rockpress.core.results.board_figures import spread_of
from stand_in_board import NPU, StandInBoard

QUICK = BenchSettings(runs=10, rounds=3, drift_runs=0, energy_seconds=0)


def with_settings(**values: object) -> BenchSettings:
    return BenchSettings(**{**vars(QUICK), **values})


def test_times_are_those_of_the_runtime(
    board: StandInBoard, session: BoardSession, model: Path
) -> None:
    board.set(run_us=20_000, first_run_us=90_000, set_us=3_000, get_us=2_000)
    session.load(model)
    timings = session.bench(QUICK)
    assert timings.npu is not None
    assert timings.npu.p50 == pytest.approx(20, rel=0.02)
    assert timings.npu.n == timings.run.n == 10 * len(timings.rounds)
    assert timings.first_run_ms >= 90
    assert max(timings.run_ms) > 20
    assert (timings.set_ms.p50 >= 3, timings.get_ms.p50 >= 2) == (True, True)


@pytest.mark.parametrize("count", [1, 2, 10, 11, 99, 100, 150])
def test_the_agent_which_runs_alone_has_the_percentiles_of_the_report(count: int) -> None:
    times = tuple(float(1 + 7 * index % count) for index in range(count))
    assert spread(times) == asdict(spread_of(times))


def test_a_runtime_that_tells_no_times(
    board: StandInBoard, session: BoardSession, model: Path
) -> None:
    board.set(run_us=100, fail_rknn_query_4=-1)
    session.load(model)
    timings = session.bench(QUICK)
    assert timings.npu is None and timings.run.n >= 30


def test_rounds_go_on_until_three_medians_agree() -> None:
    assert not agree([[5.0], [5.0]])
    assert agree([[9.0], [5.0, 99.0, 5.05], [5.0], [5.09, 5.09, 1.0]])
    assert not agree([[5.0], [5.0], [5.11]])


def test_rounds_that_do_not_agree_are_said_to(
    board: StandInBoard, session: BoardSession, model: Path
) -> None:
    board.set(run_us=2_000, drop_after=25, dropped_run_us=30_000)
    session.load(model)
    timings = session.bench(QUICK)
    assert (len(timings.rounds), timings.agrees) == (3, False)


def test_a_clock_that_drops_is_throttling(
    board: StandInBoard, session: BoardSession, model: Path
) -> None:
    clock = board.path(f"{NPU}/cur_freq")
    settings = with_settings(runs=20)
    board.set(run_us=20_000)
    session.load(model)
    assert session.bench(settings).is_throttled is False
    board.set(run_us=20_000, clock_file=clock, drop_after=100, drop_hz=300_000_000)
    timings = session.bench(settings)
    assert timings.is_throttled is True
    assert timings.before.npu is not None and not timings.before.npu.is_below_maximum
    assert timings.after.npu is not None and timings.after.npu.hz == 300_000_000


def test_a_clock_that_nobody_may_read_is_not_judged(
    board: StandInBoard, session: BoardSession, model: Path
) -> None:
    board.path(f"{NPU}/cur_freq").unlink()
    session.load(model)
    assert session.bench(QUICK).is_throttled is None


def test_contexts_on_a_core_each_do_more(
    board: StandInBoard, session: BoardSession, model: Path
) -> None:
    board.set(run_us=40_000)
    session.load(model)
    settings = with_settings(runs=25, contexts=(1, 2, 3), cores=3)
    one, two, three = session.bench(settings).contexts
    assert [(rate.contexts, rate.cores) for rate in (one, two, three)] == [(1, 1), (2, 2), (3, 3)]
    assert one.fps is not None and two.fps is not None and three.fps is not None
    # no more than 25 a second each, and together more than if they had waited for each other
    assert one.fps < 25.5 < two.fps < 51
    assert 25.5 < three.fps < 76.5


def test_a_context_that_there_is_no_room_for_is_told(
    board: StandInBoard, session: BoardSession, model: Path
) -> None:
    board.set(most_contexts=2)
    session.load(model)
    rates = session.bench(with_settings(contexts=(1, 2, 3), cores=3)).contexts
    assert [rate.fps is None for rate in rates] == [False, False, True]
    assert rates[2].problem == "rknn_init returned -4 (RKNN_ERR_MALLOC_FAIL)"


def test_energy_is_what_the_sensor_says_less_the_idle_board(
    board: StandInBoard, session: BoardSession, model: Path
) -> None:
    board.write("/sys/class/hwmon/hwmon0/name", "ina226\n")
    sensor = board.write("/sys/class/hwmon/hwmon0/power1_input", f"{1_000_000:<15}\n")
    board.set(run_us=100_000, power_file=sensor, idle_uw=1_000_000, busy_uw=3_000_000)
    session.load(model)
    (energy,) = session.bench(with_settings(runs=1, energy_seconds=2.0)).energy
    assert energy.sensor == "ina226 power1"
    assert energy.idle_watts == pytest.approx(1, rel=0.05)
    assert energy.busy_watts == pytest.approx(3, rel=0.05)
    assert energy.millijoules == pytest.approx(200, rel=0.05)


def test_without_a_sensor_there_is_no_energy(session: BoardSession, model: Path) -> None:
    session.load(model)
    assert session.bench(with_settings(energy_seconds=0.1)).energy == ()


def test_memory_that_is_not_given_back_is_drift(
    board: StandInBoard, session: BoardSession, model: Path
) -> None:
    session.load(model)
    board.set(leak_bytes=50_000)
    drift = session.bench(with_settings(drift_runs=500)).drift
    assert drift is not None and drift.runs == 500
    assert drift.bytes_per_run == pytest.approx(50_000, rel=0.05)
    board.set()
    steady = session.bench(with_settings(drift_runs=500)).drift
    assert steady is not None and abs(steady.bytes_per_run) < 2_000


def test_it_tells_how_far_it_is(board: StandInBoard, session: BoardSession, model: Path) -> None:
    steps: list[tuple[int, int]] = []
    board.set(run_us=20_000)
    session.load(model)
    session.bench(with_settings(runs=30), lambda done, total: steps.append((done, total)))
    assert steps == sorted(steps) and {total for _, total in steps} == {120}
    assert steps[-1][0] > 90, "of what runs in several contexts too"


def test_long_runs_of_several_contexts_are_no_hanging_board(
    board: StandInBoard, link: LocalLink, model: Path
) -> None:
    board.set(run_us=400_000)
    session = BoardSession(link, timeout=20)  # to start takes long on a machine that is busy
    session.load(model)
    session._channel._timeout = 2
    settings = with_settings(runs=6, rounds=1, contexts=(2,), cores=3)
    (rate,) = session.bench(settings).contexts
    assert rate.fps is not None and rate.fps < 2 / 0.4 * 1.05


def test_layers_are_those_of_the_table(
    board: StandInBoard, session: BoardSession, model: Path, tmp_path: Path
) -> None:
    table = tmp_path / "table.txt"
    table.write_text(
        "ID   OpType  DataType Target InputShape OutputShape Cycles(DDR/NPU/Total) Time(us)\n"
        r"1  InputOperator UINT8 CPU \ (1,3,640,640) 0/0/0 8 0.0%/0.0%/0.0% 0 InputOperator:images"
        "\n2    ConvExSwish   UINT8    NPU    (1,3,640,640),(16,3,3,3),(16)          (1,16,320,320)"
        "         164250/921600/921600     1948         2.22/0.00/0.00       100.0%/0.0%/0.0%     "
        "1202         Conv:stem\n"
        "5    Split   INT8     NPU    (1,32,160,160),(2)   (1,16,160,160),...     0/0/0           "
        "         176                               100.0%/0.0%/0.0%     800   Split:split 71\n"
        "Total Operator Elapsed Per Frame Time(us): 2132\n"
    )
    board.set(layer_table=table)
    session.load(model, layers=True)
    rows = session.layer_times()
    assert [(row.name, row.op, row.runs_on, row.us) for row in rows] == [
        ("InputOperator:images", "InputOperator", "CPU", 8),
        ("Conv:stem", "ConvExSwish", "NPU", 1948),
        ("Split:split 71", "Split", "NPU", 176),
    ]
    assert rows[1].total_cycles == 921600
