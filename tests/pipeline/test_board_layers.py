"""check --board --layers: where simulator and board part."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from board_answers import Built, save_labelled, simulated_by_toolkit, teach
from commands import Run
from graphs import model_of
from rockpress.convert.chips.targets import find_target
from rockpress.convert.toolkit.environment import toolkit_version
from rockpress.convert.toolkit.job import run_job
from rockpress.core.results.board_comparison import LayerDifference
from rockpress.core.types import Array
from rockpress.pipeline.board_layers import MOST_OUTPUTS, next_tensors
from rockpress.pipeline.options.convert_options import ToolkitOptions
from rockpress.pipeline.rebuilding import open_rebuildable
from rockpress.pipeline.tasks.inner_tensors import InnerTensor, inner_tensors
from rockpress.pipeline.tasks.tensor_differences import RunningDifference
from ssh_board import ssh_board
from stand_in_board import StandInBoard
from teaching_toolkit import Computes, TeachingToolkit

needs_toolkit = pytest.mark.skipif(toolkit_version() is None, reason="needs rknn-toolkit2")
OF_INT8 = InnerTensor("t", "Conv", "t.dequantized", 0.5, is_output=False)


@pytest.fixture
def taught(board: StandInBoard, monkeypatch: pytest.MonkeyPatch) -> TeachingToolkit:
    toolkit = TeachingToolkit(board=board)
    monkeypatch.setattr("rockpress.convert.toolkit_build.run_job", toolkit)
    return toolkit


def tensors(count: int) -> list[InnerTensor]:
    inner = [replace(OF_INT8, name=f"t{place}") for place in range(count)]
    return [*inner, replace(OF_INT8, name="y", is_output=True)]


def differences(names: list[str], first_wrong: int) -> dict[str, LayerDifference]:
    """Of tensors t0 to tN, wrong from one on; y is wrong where any is."""
    places = [int(name[1:]) if name != "y" else first_wrong for name in names]
    steps = [9.0 if place >= first_wrong else 1.0 for place in places]
    return {
        name: LayerDifference(name, "Conv", 0.5, 9.0, most, 0.1, is_rounding=most <= 1)
        for name, most in zip(names, steps, strict=True)
    }


@pytest.mark.parametrize("first_wrong", [0, 1, 15, 16, 17, 150, 298, 299])
def test_the_first_that_differs_is_found_in_few_builds(first_wrong: int) -> None:
    of_model = tensors(300)
    seen = differences(["y"], first_wrong)
    names, builds = [each.name for each in next_tensors(of_model, {})], 0
    while names:
        assert len(names) <= MOST_OUTPUTS
        seen.update(differences(names, first_wrong))
        names, builds = [each.name for each in next_tensors(of_model, seen)], builds + 1
    wrong = [
        each.name for each in of_model if each.name in seen and not seen[each.name].is_rounding
    ]
    assert wrong[0] == f"t{first_wrong}" and builds <= 3


def test_where_all_agree_one_build_is_enough() -> None:
    of_model = tensors(300)
    names = [each.name for each in next_tensors(of_model, {})]
    assert len(names) == MOST_OUTPUTS and names[-1] == "t299"
    assert next_tensors(of_model, differences([*names, "y"], 1000)) == []


def test_a_small_model_is_looked_at_whole() -> None:
    assert [each.name for each in next_tensors(tensors(3), {})] == ["t0", "t1", "t2"]


def difference(
    simulated: Array, on_board: Array, step: float | None, least_db: float = 40
) -> LayerDifference:
    running = RunningDifference(replace(OF_INT8, step=step), least_db)
    for pair in zip(simulated, on_board, strict=True):
        running.add(*pair)
    return running.figure


def test_one_step_of_an_integer_is_rounding_and_two_are_not() -> None:
    values = np.arange(8, dtype=np.float32).reshape(2, 4)
    one = difference(values, values + np.float32(0.5 * 128 / 127), 0.5)
    assert (one.max_steps, one.share, one.is_rounding) == (1, 0, True)
    changed = values.copy()
    changed[1, 2] -= 1.0
    two = difference(values, changed, 0.5)
    assert (two.max_steps, two.share, two.is_rounding) == (2, 1 / 8, False)
    assert two.sqnr_db == pytest.approx(10 * np.log10((values**2).sum()))
    assert difference(values, changed, 0.5, two.sqnr_db - 0.1).is_rounding, "it adds up"


def test_a_float_may_differ_by_a_part_of_the_largest() -> None:
    values = np.array([[0.001, 4.0], [2.0, 1.0]], np.float32)
    changed = values + np.array([[4 / 512, 0], [0, 0]], np.float32)
    assert difference(values, changed, None).max_steps == pytest.approx(1, rel=1e-3)
    changed = values + np.array([[0, 0], [0, 0.1]], np.float32)
    assert not difference(values, changed, None).is_rounding


def test_what_is_not_finite_is_no_rounding() -> None:
    values = np.array([[1.0, np.nan, np.inf]], np.float32)
    assert difference(values, values, 0.5).max_steps == 0
    assert difference(values, np.nan_to_num(values, posinf=np.inf), 0.5).max_steps == np.inf
    zeros = np.zeros((1, 2), np.float32)
    assert not difference(zeros, zeros + 1, None).is_rounding


def test_what_layers_write_is_what_can_be_looked_at(small_cnn: Path) -> None:
    """Float tensors as they are, and none that ends inside a layer."""
    model = onnx.load(small_cnn)
    seen = inner_tensors(model, find_target("rk3588"))
    assert seen[0].op == "ConvRelu" and {each.step for each in seen} == {None}
    assert [each.name for each in seen if each.is_output] == ["logits"]
    relus = {node.input[0] for node in model.graph.node if node.op_type == "Relu"}
    assert not relus & {each.name for each in seen}


def test_an_output_in_another_shape_is_looked_at_too() -> None:
    model = model_of(
        "(float[1,3,8,8] x) => (float[1,512] y) {a = Conv(x, w) r = Relu(a) y = Flatten(r)}",
        {"w": (8, 3, 1, 1)},
    )
    seen = inner_tensors(model, find_target("rk3588"))
    assert [(each.name, each.is_output) for each in seen] == [("r", False), ("y", True)]


def compared(rockpress: Run, built: Built, *words: object, code: int = 0) -> dict[str, Any]:
    ended = rockpress(*built.check(), "--layers", *words, "--json")
    assert ended.code == code, ended.err
    report: dict[str, Any] = json.loads(ended.out)["targets"][0]
    return report


def codes(report: dict[str, Any]) -> list[str]:
    return [each["code"] for each in report["warnings"]]


@needs_toolkit
def test_where_all_agree_it_says_so(
    built: Built, board: StandInBoard, taught: TeachingToolkit, rockpress: Run
) -> None:
    teach(board, built.manifest, built.samples, built.simulated)
    report = compared(rockpress, built)
    layers = report["board"]["layers"]
    assert (layers["first"], layers["builds"], layers["is_joined"]) == (None, 1, False)
    assert layers["outputs_db"] is None and layers["samples"] == 8
    assert {each["max_steps"] for each in layers["layers"]} == {0}
    assert layers["count"] == len(layers["layers"]) > 5
    assert "layers" in [stage["name"] for stage in report["stages"]]
    assert "board-layer" not in codes(report)
    shown = " ".join(rockpress(*built.check(), "--layers").out.split())
    assert "no layer differs on the board from the simulator" in shown


def wrong_from(name: str, order: list[str]) -> Computes:
    """Return what moves the values of a tensor, and of what comes after it, the output too."""
    after = order[order.index(name) :]
    return wrong_in({f"{each}.dequantized.shown" for each in after} | {order[-1]})


def wrong_in(tensors: set[str]) -> Computes:
    return lambda tensor, values: np.roll(values, 7) if tensor in tensors else values


@needs_toolkit
def test_the_tensor_that_the_board_corrupts_is_named(
    built: Built, board: StandInBoard, taught: TeachingToolkit, rockpress: Run
) -> None:
    teach(board, built.manifest, built.samples, built.simulated)
    first = compared(rockpress, built)
    order = [each["name"] for each in first["board"]["layers"]["layers"]]
    name = order[3]
    taught.computes = wrong_from(name, order)
    report = compared(rockpress, built)
    layers = report["board"]["layers"]
    assert layers["first"] == name
    assert [each["name"] for each in layers["layers"] if each["max_steps"] > 1] == order[3:]
    (warning,) = (each for each in report["warnings"] if each["code"] == "board-layer")
    assert repr(name) in warning["text"] and "steps" in warning["text"]
    page = built.rknn.with_suffix(".html")
    ended = rockpress(*built.check(), "--layers", "--report", page)
    assert f"the first layer that differs beyond rounding: '{name}'" in " ".join(ended.out.split())
    assert "what the layer writes" in page.read_text()


@needs_toolkit
def test_a_layer_that_differs_as_an_extra_output_alone_is_no_fault(
    built: Built, board: StandInBoard, taught: TeachingToolkit, rockpress: Run
) -> None:
    """The model's own outputs are right with it among the outputs, and without."""
    teach(board, built.manifest, built.samples, built.simulated)
    layers = compared(rockpress, built)["board"]["layers"]["layers"]
    name = layers[3]["name"]
    taught.computes = wrong_in({f"{name}.dequantized.shown"})
    report = compared(rockpress, built)
    layers = report["board"]["layers"]
    assert layers["first"] is None and not layers["is_joined"] and layers["outputs_db"] is None
    assert not [code for code in codes(report) if code in ("board-layer", "board-joined")]
    shown = " ".join(rockpress(*built.check(), "--layers").out.split())
    assert f"the board's outputs are right: only as an extra output '{name}'" in shown


@needs_toolkit
def test_a_difference_that_outputs_make_vanish_is_said(
    built: Built, board: StandInBoard, taught: TeachingToolkit, rockpress: Run
) -> None:
    """The file itself is wrong on the board, and none of the builds with more outputs is."""
    wrong = [np.roll(output, 1, axis=1) for output in built.simulated]
    teach(board, built.manifest, built.samples, wrong)
    report = compared(rockpress, built, code=4)
    layers = report["board"]["layers"]
    assert layers["is_joined"] and layers["first"] is None and layers["outputs_db"] < 20
    assert "board-joined" in codes(report) and "board-layer" not in codes(report)
    shown = " ".join(rockpress(*built.check(), "--layers").out.split())
    assert "no layer differs once each is an output: it is how they are joined" in shown
    assert "next: - the board first: its runtime 2.3.2 is older" in shown
    assert "leave it open" not in shown and "no layer differs on the board" not in shown


@needs_toolkit
def test_a_board_that_fails_meanwhile_is_an_error_and_leaves_nothing(
    built: Built,
    board: StandInBoard,
    taught: TeachingToolkit,
    rockpress: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    teach(board, built.manifest, built.samples, built.simulated)

    def failing(name: str, values: Array) -> Array:
        teach(board, built.manifest, built.samples, built.simulated, crash="rknn_outputs_get")
        return values

    for name in board.environment:
        monkeypatch.delenv(name)
    with ssh_board(tmp_path / "ssh") as there:
        there.environment(board.environment)
        monkeypatch.setenv("PATH", there.search_path)
        taught.computes = lambda name, values: (
            failing(name, values) if name.endswith(".shown") else values
        )
        ended = rockpress(*replace(built, board=there.address).check(), "--layers")
        there.wait_until_clean()
    assert ended.code == 1 and "SIGSEGV" in ended.err, ended.err


@needs_toolkit
def test_layers_are_for_a_board(built: Built, rockpress: Run) -> None:
    ended = rockpress(*built.check()[:-2], "--layers")
    assert ended.code == 2 and "--layers is for a board, and there is none" in ended.err


@needs_toolkit
def test_a_file_of_the_toolkits_own_quantizer_is_refused(
    small_cnn: Path, built: Built, board: StandInBoard, rockpress: Run, tmp_path: Path
) -> None:
    rknn, images = tmp_path / "own.rknn", tmp_path / "images.npy"
    words = ["--toolkit-quantizer", "normal", "--calib", images]
    assert rockpress("convert", small_cnn, "-o", rknn, *words).code == 0
    words = ["--calib", images, "--board", "local", "--layers"]
    ended = rockpress("check", small_cnn, rknn, *words)
    assert ended.code == 2 and "was quantized by the toolkit (normal)" in ended.err


@needs_toolkit
def test_a_file_without_what_it_was_built_from_is_refused(
    built: Built, board: StandInBoard, rockpress: Run
) -> None:
    built.rknn.with_name(f"{built.rknn.name}.json").unlink()
    ended = rockpress(*built.check(), "--layers")
    assert ended.code == 1 and "the manifest is missing" in ended.err


@needs_toolkit
@pytest.mark.toolkit
def test_what_the_toolkit_builds_with_more_outputs_is_compared(
    small_cnn: Path,
    board: StandInBoard,
    tmp_path: Path,
    rockpress: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The whole path but for the chip, in int8 and in float16; one tensor is wrong there."""
    labelled, unlabelled, samples = save_labelled(tmp_path, small_cnn, 12)
    quantized = tmp_path / "q.onnx"
    words = ["--calib", unlabelled, "--method", "min-max", "--mixed", "off"]
    assert rockpress("quantize", small_cnn, "-o", quantized, *words).code == 0
    taught = TeachingToolkit(board=board, real=run_job)
    for model, end in ((quantized, ".dequantized.shown"), (small_cnn, "")):
        rknn = tmp_path / f"{model.stem}.rknn"
        assert rockpress("convert", model, "-o", rknn, "--calib", unlabelled).code == 0
        built = simulated_by_toolkit(small_cnn, rknn, labelled, samples)
        teach(board, built.manifest, samples, built.simulated)
        source = open_rebuildable(rknn, ToolkitOptions()).source
        tensors = inner_tensors(onnx.load(source), find_target("rk3588"))
        name = tensors[4].name
        taught.computes = wrong_in({f"{name}{end}", tensors[-1].name})
        with monkeypatch.context() as patch:
            patch.setattr("rockpress.convert.toolkit_build.run_job", taught)
            layers = compared(rockpress, built)["board"]["layers"]
        assert layers["first"] == name and layers["builds"] == 1
        wrong = [each["name"] for each in layers["layers"] if each["max_steps"] > 1]
        assert wrong == [name, tensors[-1].name] and len(layers["layers"]) == len(tensors)
