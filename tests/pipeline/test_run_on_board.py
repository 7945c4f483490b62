"""run --board: the result of the whole chain on a board, measured also where all is cached."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from board_answers import save_labelled, teach, tensor_line
from commands import Run
from fake_toolkit import FakeToolkit
from graphs import model_of
from rockpress.accuracy.runners import run_onnxruntime
from rockpress.calibration_data.samples import Samples, open_samples
from rockpress.convert.manifest import manifest_path, read_manifest
from rockpress.convert.toolkit.environment import toolkit_version
from rockpress.core.types import Array
from stand_in_board import StandInBoard

needs_toolkit = pytest.mark.skipif(toolkit_version() is None, reason="needs rknn-toolkit2")
BOARD = ["--board", "local"]


def words(model: Path, labelled: Path, unlabelled: Path, *more: object) -> list[object]:
    options = ["--method", "min-max", "--mixed", "off", "-o", model.with_name("build")]
    return ["run", model, "--calib", unlabelled, "--eval", labelled, *options, *more]


def target_in(folder: Path) -> dict[str, Any]:
    target: dict[str, Any] = json.loads((folder / "report.json").read_text())["targets"][0]
    return target


def taught(board: StandInBoard, folder: Path, samples: Samples, *, turned: bool = False) -> None:
    """Have the board give what the simulator gives, or its classes in another order."""
    rknn = folder / "rk3588" / "small_cnn.rknn"
    intended = rknn.with_suffix(".intended.onnx")
    outputs: list[Array] = run_onnxruntime(intended, samples, optimise=False)
    given = [np.roll(output, 1, axis=1) for output in outputs] if turned else outputs
    teach(board, read_manifest(manifest_path(rknn)), samples, given, run_us=2000)


@needs_toolkit
def test_a_cached_run_measures_on_the_board_all_the_same(
    small_cnn: Path, fast_toolkit: FakeToolkit, board: StandInBoard, tmp_path: Path, rockpress: Run
) -> None:
    labelled, unlabelled, samples = save_labelled(tmp_path, small_cnn, 12)
    folder = tmp_path / "build"
    first = rockpress(*words(small_cnn, labelled, unlabelled))
    assert first.code == 0, first.err
    simulated = target_in(folder)
    taught(board, folder, samples)
    ended = rockpress(*words(small_cnn, labelled, unlabelled, *BOARD, "--min-retention", "0.5"))
    assert ended.code == 0, ended.err
    target = target_in(folder)
    status = {stage["name"]: stage["status"] for stage in target["stages"]}
    assert status["convert"] == "cached" and status["board"] == "done"
    assert target["retention"] == simulated["retention"]
    row, before = target["models"][-1], simulated["models"][-1]
    assert row["accuracy"] == {**before["accuracy"], "runner": "board"}
    assert row["latency"][0]["kind"] == "board" and row["latency"][1:] == before["latency"]
    assert [each["stage"] for each in target["drift"] if each["layer"] is None] == [
        *("quantized", "rknn", "board"),
    ]
    gate = next(each for each in target["gates"] if each["name"] == "min-retention")
    assert gate["kind"] == "board" and gate["pass"]

    taught(board, folder, samples, turned=True)
    again = rockpress(*words(small_cnn, labelled, unlabelled, *BOARD, "--min-retention", "0.5"))
    assert again.code == 4 and "all of it" not in again.err
    target = target_in(folder)
    assert target["retention"]["value"] < 0.5 < target["board"]["simulator"]["retention"]
    hints = {each["code"]: each["hint"] for each in target["warnings"]}
    assert "board-differs" in hints and "int8" not in hints["outputs-broken"]
    plain = rockpress(*words(small_cnn, labelled, unlabelled))
    assert plain.code == 0 and "board" not in target_in(folder)


FREE = "(float[1,3,H,W] x) => (float[1,8,H,W] y) { y = Conv <pads = [1,1,1,1]> (x, w) }"


@needs_toolkit
def test_of_several_shapes_the_largest_runs_there(
    fast_toolkit: FakeToolkit, board: StandInBoard, tmp_path: Path, rockpress: Run
) -> None:
    """The runtime begins with another one, in which it would take and give something else."""
    model, calib, build = tmp_path / "m.onnx", tmp_path / "c.npy", tmp_path / "build"
    onnx.save(model_of(FREE, {"w": (8, 3, 3, 3)}, prepared=False), model)
    np.save(calib, np.random.default_rng(0).integers(0, 256, (6, 16, 48, 3), np.uint8))
    shapes = ["--input", "x=1x3x16x24", "--input", "x=1x3x16x48"]
    line = [*words(model, calib, calib)[:4], *shapes, "--method", "min-max", "-o", build]
    first = rockpress(*line)
    assert first.code == 0, first.err
    rknn = build / "rk3588" / "m.rknn"
    manifest, samples = (
        read_manifest(manifest_path(rknn)),
        open_samples(calib, {"x": (1, 3, 16, 48)}),
    )
    outputs = run_onnxruntime(rknn.with_suffix(".intended.onnx"), samples, optimise=False)
    tensors: dict[str, list[str]] = {
        f"current_{name}": [tensor_line(each) for each in having]
        for name, having in (("input", manifest.inputs), ("output", manifest.outputs))
    }
    small = {
        name.removeprefix("current_"): [each.replace("x48", "x24") for each in lines]
        for name, lines in tensors.items()
    }
    teach(board, manifest, samples, outputs, **tensors, **small)
    ended = rockpress(*line, *BOARD)
    assert ended.code == 0, ended.err
    figure = target_in(build)["board"]["simulator"]
    assert figure["is_rounding"] and figure["sqnr_db"] is None  # no noise at all
    (part,) = figure["parts"]
    assert part["output"] == "y" and part["sqnr_db"] is None
    teach(board, manifest, samples, outputs, **small)  # which has no other shape
    ended = rockpress(*line, *BOARD)
    assert ended.code == 1 and "rknn_set_input_shapes returned -5" in ended.err


def test_a_board_is_one_target(small_cnn: Path, image_folder: Path, rockpress: Run) -> None:
    targets = ["--target", "rk3588", "--target", "rk3576"]
    ended = rockpress(*words(small_cnn, image_folder, image_folder, *BOARD, *targets))
    assert ended.code == 2
    assert "--board is one board with one chip, and --target names rk3588, rk3576" in ended.err


@needs_toolkit
def test_another_chip_is_told_before_anything_runs(
    small_cnn: Path, image_folder: Path, board: StandInBoard, rockpress: Run
) -> None:
    target = ["--target", "rk3576"]
    ended = rockpress(*words(small_cnn, image_folder, image_folder, *BOARD, *target))
    assert ended.code == 2 and "rockpress: " not in ended.err
    assert "the board has rk3588, and the .rknn is for rk3576" in ended.err


@needs_toolkit
def test_a_dry_run_tells_of_the_board_without_asking_it(
    small_cnn: Path, image_folder: Path, rockpress: Run
) -> None:
    there = ["--board", "ssh://nobody@nowhere.invalid", "--dry-run"]
    ended = rockpress(*words(small_cnn, image_folder, image_folder, *there))
    assert ended.code == 0, ended.err
    assert "run on ssh://nobody@nowhere.invalid on 8 samples, and time it" in ended.out


@needs_toolkit
def test_a_limit_of_time_is_for_any_chip_where_a_board_measures_it(
    small_cnn: Path, image_folder: Path, rockpress: Run
) -> None:
    limited = ["--target", "rk2118", "--scheme", "float16", "--max-latency-ms", "5", "--dry-run"]
    ended = rockpress(*words(small_cnn, image_folder, image_folder, *limited))
    assert ended.code == 2 and "measure it with --board" in ended.err
    ended = rockpress(*words(small_cnn, image_folder, image_folder, *limited, *BOARD))
    assert ended.code == 0, ended.err


@needs_toolkit
def test_a_board_without_a_runtime_is_told_before_anything_runs(
    small_cnn: Path,
    image_folder: Path,
    board: StandInBoard,
    rockpress: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("ROCKPRESS_LIBRKNNRT")
    ended = rockpress(*words(small_cnn, image_folder, image_folder, *BOARD))
    assert ended.code == 1 and "rockpress: " not in ended.err
    assert "local has no librknnrt.so in the usual folders" in ended.err
