"""check --board: the board's accuracy and time are what counts, beside the simulator's."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from board_answers import Built, save_labelled, simulated_by_toolkit, teach
from commands import Run
from rockpress.convert.toolkit.environment import toolkit_version
from rockpress.core.types import Array
from ssh_board import ssh_board
from stand_in_board import StandInBoard

needs_toolkit = pytest.mark.skipif(toolkit_version() is None, reason="needs rknn-toolkit2")
COUNT = 12


def checked(rockpress: Run, built: Built, *words: object, code: int = 0) -> dict[str, Any]:
    ended = rockpress(*built.check(), *words, "--json")
    assert ended.code == code, ended.err
    report: dict[str, Any] = json.loads(ended.out)["targets"][0]
    return report


@needs_toolkit
def test_the_board_has_the_simulators_own_accuracy(
    built: Built, board: StandInBoard, rockpress: Run
) -> None:
    teach(board, built.manifest, built.samples, built.simulated, run_us=4000)
    report = checked(rockpress, built)
    without = rockpress(*built.check()[:5], "--json")
    simulated = json.loads(without.out)["targets"][0]
    row, other = report["models"][-1], simulated["models"][-1]
    assert row["accuracy"] == {**other["accuracy"], "runner": "board"}
    assert report["retention"]["value"] == simulated["retention"]["value"]
    assert row["latency"][0]["kind"] == "board" and row["latency"][1:] == other["latency"]
    figure = report["board"]
    assert (figure["board"], figure["chip"], figure["runtime"], figure["driver"]) == (
        *("Stand-in Board", "rk3588", "2.3.2", "0.9.8"),
    )
    assert figure["simulator"]["value"] == other["accuracy"]["value"]
    assert figure["simulator"]["agreement"] == 1.0 and figure["simulator"]["is_rounding"]
    assert figure["run_ms"]["n"] >= 150
    assert "board" in [stage["name"] for stage in report["stages"]]
    assert "board" not in simulated


def shuffled(outputs: list[Array]) -> list[Array]:
    return [np.roll(output, 1, axis=1) for output in outputs]


@needs_toolkit
def test_the_gates_judge_the_board(built: Built, board: StandInBoard, rockpress: Run) -> None:
    """Of a board that computes something else, and of its time."""
    teach(board, built.manifest, built.samples, shuffled(built.simulated), run_us=3000)
    limits = ["--min-retention", "0.5", "--max-latency-ms", "1"]
    report = checked(rockpress, built, *limits, code=4)
    gates = {gate["name"]: gate for gate in report["gates"]}
    assert gates["min-retention"]["kind"] == "board" and not gates["min-retention"]["pass"]
    assert gates["max-latency-ms"]["kind"] == "board" and not gates["max-latency-ms"]["pass"]
    assert gates["max-latency-ms"]["value"] == report["board"]["run_ms"]["p50"]
    assert report["board"]["simulator"]["retention"] > 0.5 > report["retention"]["value"]
    shown = rockpress(*built.check(), *limits)
    assert "does not hold: " in shown.out and "(measured, board)" in shown.out
    assert "kept on the board" in " ".join(shown.out.split())


@needs_toolkit
def test_a_board_that_computes_something_else_is_told_with_its_runtime(
    built: Built, board: StandInBoard, rockpress: Run
) -> None:
    teach(board, built.manifest, built.samples, shuffled(built.simulated))
    report = checked(rockpress, built, code=4)  # its outputs are mostly noise
    (warning,) = (each for each in report["warnings"] if each["code"] == "board-differs")
    assert "more than rounding explains: SQNR" in warning["text"]
    assert "top1 0." in warning["text"] and "instead of 1.0000" in warning["text"]
    assert "its runtime 2.3.2 is older than rknn-toolkit2 2.5.0" in warning["hint"]
    (broken,) = (each for each in report["warnings"] if each["code"] == "outputs-broken")
    assert "board-differs" in broken["hint"] and "int8" not in broken["hint"]


@needs_toolkit
def test_rounding_is_no_difference(built: Built, board: StandInBoard, rockpress: Run) -> None:
    """Of one step in one value of ten."""
    scale = built.manifest.outputs[0].scale
    assert scale is not None
    rounded = [output + scale * (np.arange(10) == 3) for output in built.simulated]
    teach(board, built.manifest, built.samples, rounded)
    report = checked(rockpress, built)
    assert report["board"]["simulator"]["is_rounding"]
    assert 20 < report["board"]["simulator"]["sqnr_db"] < 60
    assert not [each for each in report["warnings"] if each["code"] == "board-differs"]


@needs_toolkit
def test_without_the_toolkit_the_board_is_alone(
    built: Built, board: StandInBoard, rockpress: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    teach(board, built.manifest, built.samples, built.simulated)
    monkeypatch.setattr("rockpress.pipeline.check.toolkit_version", lambda python=None: None)
    monkeypatch.setattr(
        "rockpress.pipeline.tasks.installed_toolkit.toolkit_version", lambda python: None
    )
    report = checked(rockpress, built)
    assert report["board"]["simulator"] is None
    assert report["models"][-1]["accuracy"]["runner"] == "board"
    assert "board-alone" in [each["code"] for each in report["warnings"]]
    alone = rockpress(*built.check()[:5])
    assert alone.code == 1 and "rknn-toolkit2 is not installed" in alone.err


@needs_toolkit
def test_a_board_of_another_chip_is_refused_before_anything_runs(
    built: Built, board: StandInBoard, rockpress: Run
) -> None:
    board.write("/proc/device-tree/compatible", "maker,board\0rockchip,rk3576\0")
    ended = rockpress(*built.check())
    assert ended.code == 2 and "baseline" not in ended.err
    assert "the board has rk3576, and the .rknn is for rk3588" in ended.err


@needs_toolkit
def test_a_board_without_a_runtime_is_told_before_anything_runs(
    built: Built, board: StandInBoard, rockpress: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROCKPRESS_LIBRKNNRT", "/nowhere/librknnrt.so")
    ended = rockpress(*built.check())
    assert ended.code == 1 and ended.err.startswith("error: local has no librknnrt.so"), ended.err


def test_a_board_is_for_a_rknn(small_cnn: Path, image_folder: Path, rockpress: Run) -> None:
    words = ["--calib", image_folder, "--board", "local"]
    ended = rockpress("check", small_cnn, small_cnn, *words)
    assert ended.code == 2 and "--board local is for a .rknn" in ended.err


@pytest.mark.parametrize("address", ["orange.local", "ssh://-oProxyCommand=x", "ssh://a:0", ""])
def test_what_is_no_address_is_refused(address: str, small_cnn: Path, rockpress: Run) -> None:
    ended = rockpress("check", small_cnn, small_cnn, "--board", address)
    assert ended.code == 2 and "ssh://[user@]host[:port], adb://SERIAL or local" in ended.err


@needs_toolkit
@pytest.mark.toolkit
def test_what_the_toolkit_simulates_is_what_the_board_is_held_against(
    small_cnn: Path,
    board: StandInBoard,
    tmp_path: Path,
    rockpress: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The whole path over ssh, but for the chip: the board gives what the simulator gives."""
    labelled, unlabelled, samples = save_labelled(tmp_path, small_cnn, COUNT)
    rknn = tmp_path / "m.rknn"
    assert (
        rockpress("quantize", small_cnn, "-o", tmp_path / "q.onnx", "--calib", unlabelled).code == 0
    )
    assert rockpress("convert", tmp_path / "q.onnx", "-o", rknn, "--calib", unlabelled).code == 0
    built = simulated_by_toolkit(small_cnn, rknn, labelled, samples)
    teach(board, built.manifest, samples, built.simulated, run_us=2000)
    for name in board.environment:
        monkeypatch.delenv(name)  # they are the board's alone
    with ssh_board(tmp_path / "ssh") as there:
        there.environment(board.environment)
        monkeypatch.setenv("PATH", there.search_path)
        there_too = replace(built, board=there.address)
        report = checked(rockpress, there_too, "--min-retention", "0.5")
        assert there.left() == [] and there.programs() == []
    row, simulator = report["models"][-1], report["board"]["simulator"]
    assert [each["kind"] for each in row["latency"]][:2] == ["board", "npu-estimate"]
    assert row["accuracy"]["value"] == simulator["value"] > 0.5
    assert simulator["agreement"] == 1.0 and simulator["is_rounding"]
    assert report["retention"]["value"] == simulator["retention"]
