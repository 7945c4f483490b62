"""``bench``: a model measured on a board that a stand-in plays, beside what was estimated."""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from commands import Run
from rknn_files import rknn_with_manifest
from rockpress.convert.chips.compiler_log import Layer
from rockpress.convert.chips.targets import find_target
from rockpress.convert.latency.run_writer import append_runs
from rockpress.convert.latency.timed_runs import TimedModel, TimedRun, read_record
from rockpress.convert.manifest import manifest_path, read_manifest, write_manifest
from rockpress.core.errors import ModelError, OptionError, ReportError
from rockpress.core.results.board_figures import (
    UNTRIED,
    BoardConditions,
    BoardFacts,
    BoardLayer,
    BoardTimings,
    ClockReading,
    MemoryDrift,
    TimeSpread,
)
from rockpress.pipeline.bench import bench_file, joined_layers
from rockpress.pipeline.board_findings import findings_of
from rockpress.pipeline.figures.bench_warnings import bench_warnings
from rockpress.pipeline.measured_scales import measured_scales
from rockpress.pipeline.recipes.recipe import make_recipe
from ssh_board import ssh_board
from stand_in_board import NPU, StandInBoard

X = ((1, 64, 28, 28),)
LAYERS = tuple(
    Layer(index, "ConvRelu", "INT8", "NPU", X, X, 90_000, 4_000_000, 4_000_000, name)
    for index, name in enumerate(("Conv:a", "Conv:b", "Conv:a"))
)
TABLE = "".join(
    f"{layer.index} ConvRelu INT8 NPU (1,1) (1,1) 9/8/9 {us} 2.2/0.0/0.0 9 {layer.name}\n"
    for layer, us in zip(LAYERS, (3000, 5000, 6000), strict=True)
)
QUICK = ("--runs", 5, "--drift-runs", 0)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return rknn_with_manifest(tmp_path / "net.rknn", LAYERS)


def bench_json(rockpress: Run, model: Path, *args: object) -> dict[str, Any]:
    done = rockpress("bench", model, "--board", "local", "--quiet", "--json", *QUICK, *args)
    assert done.code == 0, done.err
    document: dict[str, Any] = json.loads(done.out)
    return document


def test_what_was_measured_stands_beside_the_estimate(
    board: StandInBoard, rockpress: Run, model: Path
) -> None:
    board.set(run_us=20_000, weight_bytes=3000, internal_bytes=2000, dma_bytes=9000)
    bench = bench_json(rockpress, model)
    assert bench["npu"]["p50"] == pytest.approx(20, rel=0.02)
    assert bench["ratio"] == pytest.approx(bench["run"]["p50"] / bench["estimate"]["ms"])
    assert bench["loaded"]["memory"]["dma_bytes"] == 9000
    assert (bench["board"]["chip"], bench["model"]["target"]) == ("rk3588", "rk3588")
    assert [rate["contexts"] for rate in bench["timings"]["contexts"]] == [1, 2, 3]


def test_the_screen_says_it_in_lines(board: StandInBoard, rockpress: Run, model: Path) -> None:
    board.set(run_us=2_000, layer_table=board.write("/table", TABLE))
    done = rockpress("bench", model, "--board", "local", "--layers", *QUICK)
    assert done.code == 0, done.err
    title, *lines = done.out.splitlines()
    assert title == (
        "net.rknn on Stand-in Board (rk3588): librknnrt 2.3.2 (stand-in), driver 0.9.8, "
        "built by rknn-toolkit2 2.5.0"
    )
    text = "\n".join(lines)
    assert "by the runtime's own clock 2.00 ms (p90 2.00, p99 2.00)" in text
    assert "clocks NPU 1000 of 1000 MHz (rknpu_ondemand), DDR 2112 of 2112 MHz" in text
    assert "°C: npu-thermal 42" in text
    assert UNTRIED in lines
    assert [line.split()[0] for line in lines[-3:]] == ["Conv:a", "Conv:b", "Conv:a"]


def test_layers_are_joined_by_their_names(board: StandInBoard, rockpress: Run, model: Path) -> None:
    board.set(layer_table=board.write("/table", TABLE))
    bench = bench_json(rockpress, model, "--layers")
    measured = [(layer["name"], layer["us"]) for layer in bench["layers"]]
    assert measured == [("Conv:a", 3000), ("Conv:b", 5000), ("Conv:a", 6000)]
    estimated = [layer["estimated_us"] for layer in bench["layers"]]
    assert all(us > 0 for us in estimated)
    assert bench["layers_ratio"] == pytest.approx(14_000 / sum(estimated))


def test_a_layer_that_the_build_did_not_have_has_no_estimate() -> None:
    (layer,) = joined_layers([BoardLayer(1, "Add", "INT8", "NPU", 7, "Add:x")], None)
    assert (layer.us, layer.estimated_us, layer.ratio) == (7, None, None)


def test_what_was_recorded_sets_the_scale(
    board: StandInBoard, rockpress: Run, model: Path, tmp_path: Path
) -> None:
    board.set(run_us=20_000, layer_table=board.write("/table", TABLE))
    record = tmp_path / "runs.json"
    record.write_text('{"schema": 1, "runs": [], "mine": "stays"}')
    bench = bench_json(rockpress, model, "--record", record, "--layers")
    assert json.loads(record.read_text())["mine"] == "stays"
    alone, *others = read_record(record).runs
    assert alone.is_npu_alone and alone.median_ms == bench["run"]["p50"]
    assert (alone.model.file, alone.model.digest) == ("net.rknn", bench["model"]["digest"])
    assert (alone.clocks.npu, alone.clocks.ddr, alone.clocks.cpu) == (1000, 2112, 1800)
    assert (alone.runtime, alone.driver) == ("2.3.2 (stand-in)", "0.9.8")
    assert [layer.us for layer in alone.layers] == [3000, 5000, 6000]
    assert [(run.measured, run.contexts) for run in others] == [
        ("application", contexts) for contexts in (1, 2, 3)
    ]
    recipe = make_recipe("m.onnx", measured=[str(record)])
    scale = measured_scales(recipe, [find_target("rk3588")])["rk3588"]
    assert scale.factor == pytest.approx(bench["ratio"])
    bench_json(rockpress, model, "--record", record)
    assert len(read_record(record).runs) == 8


def test_a_record_that_is_none_is_refused_before_anything_runs(model: Path) -> None:
    with pytest.raises(ReportError, match="not a record"):
        bench_file(make_recipe(model, board="local"), record=manifest_path(model))


def test_two_that_append_at_once_lose_nothing(tmp_path: Path) -> None:
    record = tmp_path / "new" / "runs.json"
    run = TimedRun(TimedModel("m"), "rk3588", "npu", (1.0,))
    with ThreadPoolExecutor(3) as threads:
        list(threads.map(lambda _: append_runs(record, [run]), range(30)))
    assert len(read_record(record).runs) == 30


def test_a_run_that_cannot_be_is_not_kept(tmp_path: Path) -> None:
    record = tmp_path / "runs.json"
    run = TimedRun(TimedModel("m"), "rk3588", "npu", (1.0,))
    append_runs(record, [run])
    before = record.read_text()
    with pytest.raises(ReportError, match=r"cannot be kept: runs\[1\]\.ms is"):
        append_runs(record, [replace(run, ms=(0.0,))])
    assert record.read_text() == before


def test_clocks_are_set_on_demand_and_put_back(
    board: StandInBoard, rockpress: Run, model: Path
) -> None:
    governor = board.path(f"{NPU}/governor")
    bench = bench_json(rockpress, model, "--set-clocks")
    assert bench["timings"]["before"]["npu"]["governor"] == "performance"
    assert governor.read_text() == "rknpu_ondemand"


def test_clocks_that_nobody_may_set_are_an_error(
    board: StandInBoard, rockpress: Run, model: Path
) -> None:
    board.path(f"{NPU}/governor").unlink()
    done = rockpress("bench", model, "--board", "local", "--set-clocks", *QUICK)
    assert (done.code, "governor" in done.err) == (1, True)


def test_another_chip_is_refused(board: StandInBoard, rockpress: Run, model: Path) -> None:
    board.write("/proc/device-tree/compatible", "maker,board\0rockchip,rk3566\0")
    done = rockpress("bench", model, "--board", "local", *QUICK)
    assert done.code == 2 and "rk3566" in done.err


def test_a_manifest_of_another_file_is_not_believed(
    board: StandInBoard, rockpress: Run, model: Path
) -> None:
    model.write_bytes(model.read_bytes().replace(b"abc@2026", b"xyz@2026"))
    bench = bench_json(rockpress, model)
    assert (bench["estimate"], bench["ratio"], bench["model"]["quantization"]) == (None,) * 3


def test_it_needs_a_rknn_and_a_board(model: Path, small_cnn: Path) -> None:
    with pytest.raises(ModelError, match=r"only a \.rknn"):
        bench_file(make_recipe(small_cnn, board="local"))
    with pytest.raises(OptionError, match="board"):
        bench_file(make_recipe(model))


def test_a_file_of_several_shapes_is_measured_in_the_largest(
    board: StandInBoard, rockpress: Run, model: Path
) -> None:
    manifest = read_manifest(manifest_path(model))
    name = manifest.inputs[0].name
    shapes = ({name: (1, 3, 16, 24)}, {name: (1, 3, 8, 8)})
    write_manifest(replace(manifest, input_sets=shapes), manifest_path(model))
    board.set(
        current_input=["images int8 NHWC 1x16x24x3 0.00392 -128"],
        current_output=["scores int8 UNDEFINED 6x10 0.5 3"],
    )
    loaded = bench_json(rockpress, model)["loaded"]
    assert [each["shape"] for each in loaded["inputs"]] == [[1, 16, 24, 3]]
    assert [each["shape"] for each in loaded["outputs"]] == [[6, 10]]
    board.set(current_input=["images int8 NHWC 1x8x8x3 0.00392 -128"])
    done = rockpress("bench", model, "--board", "local")
    assert done.code == 1 and "rknn_set_input_shapes returned -5" in done.err


FAST = ClockReading("npu", "performance", 10**9, 10**9)
SLOW = ClockReading("npu", "rknpu_ondemand", 3 * 10**8, 10**9)
SPREAD = TimeSpread(1.0, 1.0, 1.0, 3)
STATE = BoardConditions(npu=FAST, npu_load=0)
TIMINGS = BoardTimings(
    first_run_ms=2.0,
    rounds=((1.0,), (1.0,), (1.0,)),
    npu_ms=(),
    set_ms=SPREAD,
    get_ms=SPREAD,
    agrees=True,
    before=STATE,
    after=STATE,
    during=(STATE,),
    is_throttled=False,
    drift=MemoryDrift(1000, 12.0),
)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, None),
        ({"during": (replace(STATE, npu=SLOW),)}, "board-clock"),
        ({"during": (replace(STATE, npu=SLOW), STATE)}, None),
        ({"during": (), "before": replace(STATE, ddr=SLOW)}, "board-clock"),
        ({"during": (STATE, replace(STATE, npu=SLOW)), "is_throttled": True}, "board-throttled"),
        ({"agrees": False}, "board-unsettled"),
        ({"before": replace(STATE, npu_load=80)}, "board-busy"),
        ({"drift": MemoryDrift(1000, 43_000.0)}, "board-memory"),
        ({"during": (BoardConditions(),), "is_throttled": None, "drift": None}, None),
    ],
)
def test_what_makes_the_figures_worse_is_a_warning(
    changes: Mapping[str, Any], code: str | None
) -> None:
    warnings = bench_warnings(replace(TIMINGS, **changes), BoardFacts("3.11.2"))
    assert [warning.code for warning in warnings] == ([code] if code else [])


def test_what_was_left_is_said() -> None:
    facts = BoardFacts("3.11.2", clocks_put_back=("/a/governor: ondemand",))
    (warning,) = bench_warnings(TIMINGS, facts)
    assert warning.code == "board-clocks-left" and warning.text.endswith(": 1")
    assert warning.hint == "they are put back"
    (found,) = (fact for fact in findings_of(facts, None) if fact.name == "clocks left set")
    assert found.ok
    stays = replace(facts, clocks_left=("/b/governor: ondemand",))
    (warning,) = bench_warnings(TIMINGS, stays)
    assert warning.hint is not None and "/b/governor: ondemand" in str(warning.hint)
    (found,) = (fact for fact in findings_of(stays, None) if fact.name == "clocks left set")
    assert not found.ok


def test_a_board_is_measured_over_ssh_and_left_as_it_was(
    board: StandInBoard,
    rockpress: Run,
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    board.set(run_us=5_000)
    for name in board.environment:
        monkeypatch.delenv(name)  # they are the board's alone
    with ssh_board(tmp_path / "ssh") as there:
        there.environment(board.environment)
        monkeypatch.setenv("PATH", there.search_path)
        words = ("--board", there.address, "--set-clocks", "--quiet", "--json", *QUICK)
        done = rockpress("bench", model, *words)
        assert there.left() == [] and there.programs() == []
    assert done.code == 0, done.err
    bench = json.loads(done.out)
    assert bench["npu"]["p50"] == 5
    assert bench["timings"]["before"]["npu"]["governor"] == "performance"
    assert board.path(f"{NPU}/governor").read_text() == "rknpu_ondemand"
    assert there.address not in done.out
