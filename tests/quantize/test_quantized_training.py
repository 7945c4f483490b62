"""What training does to a quantized model, as far as it goes without PyTorch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto

from commands import Run
from graphs import model_of, random_feeds
from rockpress.calibration_data.bundled import CALIBRATION, MODEL, sample_path
from rockpress.calibration_data.preprocessing import Preprocessing
from rockpress.calibration_data.samples import Samples
from rockpress.core.errors import OptionError
from rockpress.core.graphs.graph import Graph
from rockpress.core.results.model_figures import QuantizationFigure, TrainingFigure
from rockpress.core.session import Session
from rockpress.core.training import pytorch
from rockpress.pipeline.options.quantize_options import QuantizeOptions
from rockpress.pipeline.samples.ready_model import ready_model
from rockpress.pipeline.tasks.quantization_training import require_training, training_warnings
from rockpress.quantize.graph_parts.placement import weighted_nodes
from rockpress.quantize.graph_parts.weighted_layers import layers_from
from rockpress.quantize.quantize import quantize
from rockpress.quantize.training.block_ends import block_ends
from rockpress.quantize.training.quantized_student import QuantizedStudent
from rockpress.report.html.models_part import quantization_card
from rockpress.report.text.table import quantization_text
from trained_nets import residual_net

FIGURE = TrainingFigure(True, 8.04, 13.2, 0.31, 0.082, 500, 600.0, 1000, 96)


def quantized(
    scheme: str, folder: Path, *, symmetric: bool = False
) -> tuple[ModelProto, ModelProto]:
    """Return a small network and what a scheme makes of it."""
    model = residual_net()
    samples = random_feeds(model, 8)
    paths = folder / "q.onnx", folder / "q.toml"
    quantize(model, *paths, samples, scheme=scheme, method="gptq", symmetric=symmetric)
    return model, onnx.load(str(paths[0]))


def bundled_samples(count: int) -> Samples:
    """Return so many of the 256 images that are bundled."""
    ready = ready_model(sample_path(MODEL))
    return ready.samples(sample_path(CALIBRATION), Preprocessing(mean=(73.0,), std=(90.0,)), count)


def student(model: ModelProto, form: ModelProto, bits: int) -> QuantizedStudent:
    graph = Graph(model)
    layers = [
        layer
        for layer in layers_from(graph, weighted_nodes(graph))
        if bits == 8 or layer.groups == 1
    ]
    return QuantizedStudent(model, form, layers, bits)


FORMS = [("w8a8", 8, False), ("w8a8", 8, True), ("w4a16", 4, False)]


@pytest.mark.parametrize(("scheme", "bits", "symmetric"), FORMS)
def test_a_student_is_the_quantized_model_and_goes_back_to_it(
    scheme: str, bits: int, symmetric: bool, tmp_path: Path
) -> None:
    model, form = quantized(scheme, tmp_path, symmetric=symmetric)
    trained = student(model, form, bits)
    for feeds in random_feeds(model, 3, seed=5):
        (plain,), (same,) = (
            Session(each, optimise=False).run(feeds) for each in (form, trained.model)
        )
        assert np.allclose(plain, same, atol=1e-5)
    steps = {name: grid.steps for name, grid in trained.grids.items()}
    scales = {name: grid.scales for name, grid in trained.grids.items()}
    back = trained.rendered(steps, scales, trained.plain)
    before, after = Graph(form).weights, Graph(back).weights
    assert [node.SerializeToString() for node in back.graph.node] == [
        node.SerializeToString() for node in form.graph.node
    ]
    assert before.keys() == after.keys()
    for name, value in before.items():
        assert value.dtype == after[name].dtype
        assert np.allclose(value, after[name], rtol=1e-6, atol=0), name


def test_what_is_trained_of_each_form(tmp_path: Path) -> None:
    eight = student(*quantized("w8a8", tmp_path), 8)
    assert [grid.limit for grid in eight.grids.values()] == [126] * 4
    assert len(eight.plain) == 4  # the biases
    assert all(grid.movable.all() for grid in eight.grids.values())
    four = student(*quantized("w4a16", tmp_path), 4)
    assert [grid.limit for grid in four.grids.values()] == [7] * 3
    assert len(four.plain) == 5  # and the weight of the depthwise convolution, which is in float
    for grid in four.grids.values():
        held = np.moveaxis(~grid.movable, grid.axis, 0).reshape(len(grid.scales), -1)
        ends = np.moveaxis(np.abs(grid.steps), grid.axis, 0).reshape(len(grid.scales), -1)
        assert (held.sum(axis=1) == 1).all()  # so that the toolkit finds the same scale again
        assert (ends[held] == 7).all()


def test_trained_integers_are_written_with_biases_in_their_units(tmp_path: Path) -> None:
    model, form = quantized("w8a8", tmp_path)
    trained = student(model, form, 8)
    steps = {name: np.clip(grid.steps + 1, -126, 126) for name, grid in trained.grids.items()}
    scales = {name: 2 * grid.scales for name, grid in trained.grids.items()}
    doubled = trained.rendered(steps, scales, trained.plain)
    before, after = Graph(form), Graph(doubled)
    node = next(each for each in form.graph.node if each.op_type == "Conv")
    weight, bias = (before.producers[name] for name in node.input[1:3])
    old, new = (graph.weights[weight.input[0]] for graph in (before, after))
    assert np.array_equal(np.clip(old.astype(int) + 1, -126, 126), new)
    biases, units = (
        [graph.weights[bias.input[at]].astype(np.float64) for graph in (before, after)]
        for at in (0, 1)
    )
    assert np.allclose(units[1], 2 * units[0])
    assert np.allclose(biases[0] * units[0], biases[1] * units[1], atol=2 * units[0].max())


def test_blocks_end_where_all_after_depends_on_one_tensor() -> None:
    assert block_ends(Graph(residual_net())) == ["b", "d", "e", "g"]


def test_the_wide_inside_of_a_block_is_no_end() -> None:
    text = """(float[1,4,8,8] x) => (y) {
        a = Conv (x, w1)
        b = Conv (a, w2)
        c = Relu (b)
        d = Conv <strides = [2,2]> (c, w3)
        e = Conv (d, w4)
        f = Relu (e)
        g = GlobalAveragePool (f)
        y = Flatten (g) }"""
    weights = {"w1": (4, 4, 1, 1), "w2": (24, 4, 1, 1), "w3": (24, 24, 1, 1), "w4": (9, 24, 1, 1)}
    # b and c hold 24 x 8 x 8 values, d 24 x 4 x 4, a 4 x 8 x 8 and e and f 9 x 4 x 4
    assert block_ends(Graph(model_of(text, weights))) == ["a", "f", "g"]


def test_schemes_that_are_not_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pytorch, "find_spec", lambda name: name)
    for scheme in ("w8a8", "w4a16", "float16"):
        require_training(QuantizeOptions(scheme=scheme, train="distill"))
    with pytest.raises(OptionError, match="train is for w8a8 and w4a16"):
        require_training(QuantizeOptions(scheme="w8a16", train="distill"))


@pytest.mark.parametrize("command", ["quantize", "run"])
def test_training_without_torch_ends_at_once(
    command: str,
    monkeypatch: pytest.MonkeyPatch,
    rockpress: Run,
    small_cnn: Path,
    image_folder: Path,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(pytorch, "find_spec", lambda name: None)
    out = tmp_path / ("o.onnx" if command == "quantize" else "o")
    line = [command, small_cnn, "--calib", image_folder, "-o", out, "--train", "distill"]
    code, _, err = rockpress(*line)
    assert code == 1
    assert "--train distill needs PyTorch" in err
    assert "leave out --train distill" in err
    assert not out.exists()


def test_the_effect_of_training_is_told() -> None:
    calib, whole = (bundled_samples(count) for count in (128, 256))
    assert list(training_warnings(None, calib)) == list(training_warnings(FIGURE, calib)) == []
    (few,) = training_warnings(replace(FIGURE, samples=199), calib)
    assert few.code == "training-few-samples"
    assert "128 of the 256 samples given are used" in few.hint
    (few,) = training_warnings(replace(FIGURE, samples=199), whole)
    assert "a thousand or more" in few.hint
    (poor,) = training_warnings(replace(FIGURE, kept=False, sqnr_after=7.9), calib)
    assert poor.code == "training-not-kept"
    assert "(8.0 dB before, 7.9 after)" in poor.text
    assert "more time" not in poor.hint
    (chance,) = training_warnings(replace(FIGURE, kept=False), calib)
    assert "better by more than chance" in chance.text
    assert "more time" in chance.hint
    figure = QuantizationFigure("gptq", 96, {"gptq": 8.0}, training=replace(FIGURE, kept=False))
    assert "not kept" in quantization_text(figure)[-1]
    assert "not kept" in str(quantization_card(figure))
