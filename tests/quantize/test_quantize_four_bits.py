"""Weights of 4 bits: on a grid that the toolkit keeps, and better than those it would choose."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, numpy_helper

from graphs import Samples, model_of
from rockpress.convert.convert import convert
from rockpress.convert.manifest import read_manifest
from rockpress.convert.request import ConversionRequest
from rockpress.core.errors import ModelError, OptionError
from rockpress.core.graphs.model import load_model
from rockpress.core.session import Session
from rockpress.core.similarity import sqnr_db
from rockpress.core.types import Array
from rockpress.pipeline.check import check
from rockpress.pipeline.quantize_file import quantize_file
from rockpress.pipeline.recipes.recipe import make_recipe
from rockpress.pipeline.run import run
from rockpress.quantize.quantize import quantize
from rockpress.quantize.rendering.plan import read_plan
from rockpress.quantize.schemes.w4a16 import LIMIT
from samples import save_feeds

NET = """(float[1,3,16,16] x) => (float[1,10] y) {
    a = Conv <pads=[1,1,1,1]> (x, w1, b1)
    r = Relu (a)
    d = Conv <group=32, pads=[1,1,1,1]> (r, w2)
    s = Relu (d)
    p = Conv (s, w3, b3)
    q = Relu (p)
    m = GlobalAveragePool (q)
    f = Flatten (m)
    y = Gemm <transB=1> (f, w4, b4) }"""
WEIGHTS = {
    **{"w1": (32, 3, 3, 3), "b1": (32,), "w2": (32, 1, 3, 3), "w3": (48, 32, 1, 1), "b3": (48,)},
    **{"w4": (10, 48), "b4": (10,)},
}


@pytest.fixture(scope="module")
def net() -> ModelProto:
    return model_of(NET, WEIGHTS)


def samples(count: int, seed: int) -> Samples:
    random = np.random.default_rng(seed)
    common = random.standard_normal((count, 1, 16, 16)) + 0.5
    own = random.standard_normal((count, 3, 16, 16))
    return [{"x": one[None].astype(np.float32)} for one in common + 0.4 * own]


def outputs(model: ModelProto, feeds: Samples) -> Array:
    session = Session(model)
    return np.stack([session.run(one)[0][0] for one in feeds])


def initializer(model: ModelProto, name: str) -> Array:
    return next(numpy_helper.to_array(one) for one in model.graph.initializer if one.name == name)


def steps_of(model: ModelProto, position: int) -> Array:
    """A layer's weight in units of a seventh of each channel's largest: (channels, rest)."""
    tensors = {one.name: numpy_helper.to_array(one) for one in model.graph.initializer}
    layers = [node for node in model.graph.node if node.op_type in ("Conv", "Gemm")]
    weight = tensors[layers[position].input[1]]
    flat = weight.reshape(len(weight), -1)
    return np.asarray(flat / np.abs(flat).max(axis=1, keepdims=True) * LIMIT)


@pytest.mark.parametrize("method", ["gptq", "mse", "min-max"])
def test_weights_are_whole_steps_of_the_toolkits_scale(
    net: ModelProto, method: str, tmp_path: Path
) -> None:
    paths = tmp_path / "q.onnx", tmp_path / "p.toml"
    quantize(net, *paths, samples(40, 1), scheme="w4a16", method=method)
    made = load_model(tmp_path / "q.onnx")
    for position in (0, 2, 3):
        steps = steps_of(made, position)
        np.testing.assert_allclose(steps, np.rint(steps), atol=1e-4)
    weights = [numpy_helper.to_array(one) for one in made.graph.initializer if one.name == "w2"]
    np.testing.assert_array_equal(weights, [initializer(net, "w2")])  # the toolkit leaves it alone
    plan = read_plan(tmp_path / "p.toml")
    assert (plan.scheme, plan.method, plan.activations) == ("w4a16", method, {})
    assert {name: one.dtype for name, one in plan.weights.items()} == dict.fromkeys(
        ("w1", "w3", "w4"), "int4"
    )


def test_the_best_method_is_kept(net: ModelProto, tmp_path: Path) -> None:
    paths = tmp_path / "q.onnx", tmp_path / "p.toml"
    plan = quantize(net, *paths, samples(60, 1), samples(8, 2), scheme="w4a16").plan
    assert set(plan.candidates) == {"gptq", "gptq-refit", "mse", "min-max"}
    # a later one that is as good but for chance is not taken
    assert plan.candidates[plan.method] > max(plan.candidates.values()) - 0.5
    assert plan.candidates["gptq"] > plan.candidates["min-max"] + 3
    others = samples(20, 3)
    db = sqnr_db([outputs(net, others)], [outputs(load_model(paths[0]), others)])
    assert db > plan.candidates["min-max"] + 2


def test_the_toolkit_keeps_the_weights(net: ModelProto, tmp_path: Path) -> None:
    """What the simulator computes is what ONNX Runtime does, and nearer than the toolkit's own."""
    onnx.save(net, tmp_path / "float.onnx")
    paths = tmp_path / "q.onnx", tmp_path / "p.toml"
    quantize(net, *paths, samples(60, 1), scheme="w4a16")
    feeds = samples(6, 3)
    found = {}
    for name in ("q", "float"):
        built = convert(
            ConversionRequest(
                tmp_path / f"{name}.onnx",
                None,
                "rk3576",
                quantization="normal",
                dtype="w4a16",
                calibration=samples(2, 1),
                simulate=feeds,
            )
        )
        assert built.outputs is not None
        found[name] = built.outputs[0]
    kept = outputs(load_model(tmp_path / "q.onnx"), feeds)
    assert sqnr_db([kept], [found["q"]]) > 35
    reference = [outputs(net, feeds)]
    assert sqnr_db(reference, [found["q"]]) > sqnr_db(reference, [found["float"]]) + 3


def test_impossible_requests_for_four_bits_are_refused(net: ModelProto, tmp_path: Path) -> None:
    onnx.save(net, tmp_path / "m.onnx")
    save_feeds(tmp_path / "c.npz", samples(12, 1))
    recipe = make_recipe(tmp_path / "m.onnx", calib=tmp_path / "c.npz", scheme="w4a16")
    output = tmp_path / "q.onnx"
    with pytest.raises(OptionError, match="rk3588 has no w4a16"):
        quantize_file(recipe, output)
    recipe = recipe.with_options(target=("rk3576",))
    with pytest.raises(OptionError, match="--mixed cycles=\\+8% is for w8a8") as caught:
        quantize_file(recipe.with_options(mixed="cycles=+8%"), output)
    assert "size=-15%" in caught.value.hint
    with pytest.raises(OptionError, match="--explain is for w8a8"):
        quantize_file(recipe.with_options(explain=True), output)
    with pytest.raises(OptionError, match="--method kl is about the ranges"):
        quantize_file(recipe.with_options(method="kl"), output)
    assert not output.exists()
    found = quantize_file(recipe, output)
    assert found.result.plan.held_out == 2
    quantize_file(recipe.with_options(scheme="w8a8"), tmp_path / "int8.onnx")
    with pytest.raises(ModelError, match="quantized already"):
        quantize_file(recipe.with_options(model=tmp_path / "int8.onnx"), output)


def test_a_run_with_weights_of_four_bits(net: ModelProto, tmp_path: Path) -> None:
    """The .rknn computes what the kept model does, and check builds the same again."""
    onnx.save(net, tmp_path / "m.onnx")
    for name, count, seed in (("calib", 40, 1), ("eval", 8, 2)):
        save_feeds(tmp_path / f"{name}.npz", samples(count, seed))
    recipe = make_recipe(
        tmp_path / "m.onnx",
        calib=tmp_path / "calib.npz",
        eval=tmp_path / "eval.npz",
        target=("rk3576",),
        scheme="w4a16",
    )
    (target,) = run(recipe, tmp_path / "build").targets
    stages = {row.stage: row for row in target.models}
    assert list(stages) == ["baseline", "reference-float16", "quantized", "rknn"]
    assert target.quantization is not None
    assert target.quantization.held_out == 8
    folder = tmp_path / "build" / "rk3576"
    assert read_manifest(folder / "m.rknn.json").dtype == "w4a16"
    feeds = samples(8, 2)
    kept = outputs(load_model(folder / "m.intended.onnx"), feeds)
    db = sqnr_db([outputs(net, feeds)], [kept])
    assert target.retention.sqnr_db == pytest.approx(db, abs=1)
    again = check(recipe, folder / "m.rknn")
    assert again.targets[0].retention.sqnr_db == pytest.approx(target.retention.sqnr_db, abs=1e-6)


def test_a_chip_without_it_is_told_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"never read")
    recipe = make_recipe(tmp_path / "m.onnx", calib=tmp_path, scheme="w4a16")
    with pytest.raises(OptionError, match="rk3588 has no w4a16") as caught:
        run(recipe, tmp_path / "build")
    assert "w8a8" in caught.value.hint
    assert not (tmp_path / "build").exists()


# (groups, inputs and outputs of each) -> whether the toolkit rounds the weight to 4 bits
GROUPED = {
    (32, 1, 1): False,
    (32, 1, 2): True,
    (16, 2, 2): True,
    (16, 2, 6): True,
    (8, 4, 4): True,
    (4, 8, 8): False,
    (4, 8, 3): False,
    (2, 12, 12): True,
    (2, 24, 24): False,
}


def test_grouped_convolutions_are_rounded_where_the_toolkit_does_so(tmp_path: Path) -> None:
    nodes, inputs, results = [], [], []
    weights: dict[str, tuple[int, ...]] = {}
    for index, (groups, read, made) in enumerate(GROUPED):
        inputs.append(f"float[1,{groups * read},8,8] x{index}")
        results.append(f"float[1,{groups * made},6,6] y{index}")
        nodes.append(f"y{index} = Conv <group={groups}> (x{index}, w{index}, b{index})")
        weights[f"w{index}"] = (groups * made, read, 3, 3)
        weights[f"b{index}"] = (groups * made,)
    model = model_of(
        f"({', '.join(inputs)}) => ({', '.join(results)}) {{ {' '.join(nodes)} }}", weights
    )
    random = np.random.default_rng(1)
    feeds = [
        {
            f"x{index}": random.standard_normal((1, groups * read, 8, 8), dtype=np.float32)
            for index, (groups, read, _) in enumerate(GROUPED)
        }
        for _ in range(12)
    ]
    path = tmp_path / "q.onnx"
    plan = quantize(model, path, tmp_path / "p.toml", feeds, scheme="w4a16", method="gptq").plan
    rounded = [f"w{index}" for index, is_rounded in enumerate(GROUPED.values()) if is_rounded]
    assert list(plan.integer_weights) == rounded
    request = ConversionRequest(
        path,
        None,
        "rk3576",
        quantization="normal",
        dtype="w4a16",
        calibration=feeds[:2],
        simulate=feeds[:2],
    )
    simulated = convert(request).outputs or []
    expected = Session(load_model(path)).stacked(feeds[:2])
    for form, result, meant in zip(GROUPED, simulated, expected, strict=True):
        assert sqnr_db([meant], [result.reshape(meant.shape)]) > 50, form
