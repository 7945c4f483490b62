"""Float16 beside weights of 4 bits: what is worth it is chosen, and the toolkit does it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import ModelProto, numpy_helper
from pytest import approx

from graphs import model_of, random_feeds, random_weights
from rockpress.convert.manifest import read_manifest
from rockpress.core.errors import ModelError, OptionError, SamplesError
from rockpress.core.graphs.model import load_model
from rockpress.core.session import Session
from rockpress.core.similarity import sqnr_db
from rockpress.core.types import Array
from rockpress.pipeline.check import check
from rockpress.pipeline.convert_file import convert_file
from rockpress.pipeline.quantize_file import quantize_file
from rockpress.pipeline.recipes.recipe import Recipe, make_recipe
from rockpress.pipeline.run import run
from rockpress.quantize.rendering.plan import Plan, read_plan
from samples import save_feeds

# a convolution, a depthwise one, a MatMul with its bias, and a Gemm
NET = """(float[1,3,8,8] x) => (float[1,10] y) {
    a = Conv <pads=[1,1,1,1], strides=[4,4]> (x, w1)
    r = Relu (a)
    d = Conv <group=32, pads=[1,1,1,1]> (r, w2)
    s = Relu (d)
    f = Flatten (s)
    g = MatMul (f, w3)
    h = Add (g, b3)
    i = Relu (h)
    y = Gemm <transB=1> (i, w4, b4) }"""
WEIGHTS = {"w1": (32, 3, 3, 3), "w2": (32, 1, 3, 3), "w3": (128, 64), "w4": (10, 64)}
SIZES = {name: int(np.prod(shape)) for name, shape in WEIGHTS.items()}


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    random = np.random.default_rng(0)
    weights = {
        name: random.standard_normal(shape) / np.sqrt(np.prod(shape) / max(shape))
        for name, shape in {**WEIGHTS, "b3": (64,), "b4": (10,)}.items()
    }
    folder = tmp_path_factory.mktemp("four-bit-mix")
    onnx.save(model_of(NET, weights), folder / "m.onnx")
    for name, count, seed in (("calib", 60, 1), ("eval", 8, 2)):
        save_feeds(
            folder / f"{name}.npz", random_feeds({"x": (1, 3, 8, 8)}, count, seed, shift=0.5)
        )
    return folder


@pytest.fixture
def recipe(net: Path) -> Recipe:
    return make_recipe(
        net / "m.onnx",
        calib=net / "calib.npz",
        eval=net / "eval.npz",
        target=("rk3576",),
        scheme="w4a16",
    )


def outputs(model: ModelProto, folder: Path) -> Array:
    session = Session(model)
    return np.stack([session.run({"x": one[None]})[0][0] for one in eval_inputs(folder)])


def eval_inputs(folder: Path) -> Array:
    with np.load(folder / "eval.npz") as kept:
        return np.asarray(kept["x"])


def weights_of(model: ModelProto) -> dict[str, Array]:
    return {one.name: numpy_helper.to_array(one) for one in model.graph.initializer}


def size_ratio(plan: Plan, floating: tuple[str, ...]) -> float:
    """Bytes of all weights over those of int8: half a byte where rounded, else two."""
    rounded = set(plan.weights) - set(floating)
    return sum(size * (0.5 if name in rounded else 2) for name, size in SIZES.items()) / sum(
        SIZES.values()
    )


@pytest.mark.parametrize("size", [-30, -15, 0])
def test_the_budget_is_kept_and_the_rest_untouched(
    recipe: Recipe, size: int, tmp_path: Path
) -> None:
    output = tmp_path / "q.onnx"
    plan = quantize_file(recipe.with_options(mixed=f"size={size}%"), output).result.plan
    assert read_plan(tmp_path / "q.plan.toml") == plan
    for one in plan.tradeoffs:
        assert one.cycles_ratio is None
        assert one.size_ratio is not None
        assert one.size_ratio == approx(size_ratio(plan, one.floating))
        assert one.size_ratio <= 1 + size / 100
    best = max(plan.tradeoffs, key=lambda one: one.sqnr_db)
    assert set(plan.high_precision) == set(best.floating)
    before, after = weights_of(load_model(recipe.model)), weights_of(load_model(output))
    for name in ("w2", *plan.high_precision):
        np.testing.assert_array_equal(after[name], before[name])
    for name in plan.integer_weights:
        assert not np.array_equal(after[name], before[name])


def test_a_larger_budget_is_more_accurate(recipe: Recipe, tmp_path: Path) -> None:
    found = {}
    for mixed in ("off", "size=-20%", "sqnr=32", "sqnr=90"):
        made = quantize_file(recipe.with_options(mixed=mixed), tmp_path / "q.onnx").result.plan
        found[mixed] = made
    assert not found["off"].high_precision
    assert 0 < len(found["size=-20%"].high_precision) < 3
    wanted = found["sqnr=32"]
    reached = {frozenset(one.floating): one.sqnr_db for one in wanted.tradeoffs}
    assert reached[frozenset(wanted.high_precision)] >= 32 > reached[frozenset()]
    assert set(found["sqnr=90"].high_precision) == {"w1", "w3", "w4"}


def test_the_toolkit_leaves_the_same_weights_in_float16(recipe: Recipe, tmp_path: Path) -> None:
    """Convolution, MatMul and Gemm: were only one of them rounded, it would be 30 dB or less."""
    plan = quantize_file(recipe.with_options(mixed="sqnr=90"), tmp_path / "q.onnx").result.plan
    assert set(plan.high_precision) == {"w1", "w3", "w4"}
    made = convert_file(recipe.with_options(plan=tmp_path / "q.plan.toml"), tmp_path / "m.rknn")
    assert (made.quantization, made.dtype) == ("hybrid", "w4a16")
    assert not [one for one in made.warnings if one.code in ("toolkit-plan", "plan-weights")]
    assert made.closeness.float_db is not None
    assert made.closeness.float_db > 50


def test_what_is_refitted_reaches_the_toolkit_too(recipe: Recipe, tmp_path: Path) -> None:
    """A weight in float16 was refitted, and the plan's name of it still holds."""
    output, rknn = tmp_path / "q.onnx", tmp_path / "m.rknn"
    options = recipe.with_options(method="gptq-refit", mixed="size=-20%")
    plan = quantize_file(options, output).result.plan
    before, after = weights_of(load_model(recipe.model)), weights_of(load_model(output))
    assert 0 < len(plan.high_precision) < 3
    assert set(plan.high_precision) < set(after)
    assert any((before[name] != after[name]).any() for name in ("w2", *plan.high_precision))
    conversion = convert_file(
        recipe.with_options(model=output, plan=tmp_path / "q.plan.toml"), tmp_path / "m.rknn"
    )
    assert (conversion.quantization, conversion.dtype) == ("hybrid", "w4a16")
    assert not [
        each for each in conversion.warnings if each.code in ("toolkit-plan", "plan-weights")
    ]
    assert conversion.closeness.float_db is not None
    assert conversion.closeness.float_db > 40
    # only what the plan leaves in float16 is stored so
    convert_file(recipe.with_options(scheme="float16"), tmp_path / "f.rknn")
    rounded = sum(SIZES[name] for name in plan.integer_weights)
    saved = (tmp_path / "f.rknn").stat().st_size - rknn.stat().st_size
    assert saved > 0.6 * 1.5 * rounded, plan.integer_weights


def test_a_run_mixes_by_itself_where_four_bits_are_too_few(
    recipe: Recipe, net: Path, tmp_path: Path
) -> None:
    (target,) = run(recipe.with_options(mixed="size=-10%"), tmp_path / "build").targets
    how = target.quantization
    assert how is not None
    assert how.floating > 0
    assert how.tradeoffs[0].size_ratio is not None
    folder = tmp_path / "build" / "rk3576"
    manifest = read_manifest(folder / "m.rknn.json")
    assert (manifest.quantization, manifest.dtype) == ("hybrid", "w4a16")
    intended = outputs(load_model(folder / "m.intended.onnx"), net)
    db = sqnr_db([outputs(load_model(recipe.model), net)], [intended])
    assert target.retention.sqnr_db == pytest.approx(db, abs=1)
    again = check(recipe, folder / "m.rknn")
    assert again.targets[0].retention.sqnr_db == pytest.approx(target.retention.sqnr_db, abs=1e-6)


def test_the_plan_must_not_be_left_out(recipe: Recipe, tmp_path: Path) -> None:
    """In float16 such a model would have the loss of 4 bits, and none of the gain."""
    quantize_file(recipe.with_options(mixed="off"), tmp_path / "q.onnx")
    moved = recipe.with_options(model=tmp_path / "q.onnx")
    with pytest.raises(OptionError, match="rounded to 4 bits") as caught:
        convert_file(moved, tmp_path / "q.rknn")
    assert "--plan" in caught.value.hint
    assert not list(tmp_path.glob("*.rknn*"))


def test_a_mix_without_any_weight_in_four_bits_is_told(recipe: Recipe, tmp_path: Path) -> None:
    made = quantize_file(recipe.with_options(mixed="sqnr=90"), tmp_path / "q.onnx")
    (warning,) = (one for one in made.warnings if one.code == "mixed-budget")
    assert "no weight in 4 bits" in warning.text


def test_weights_that_are_never_rounded_count_in_the_size(tmp_path: Path) -> None:
    """Those of an LSTM are in float16 with 4 bits as with 8."""
    text = """(float[4,1,8] x) => (float[4,1,6] z) {
        s, h, c = LSTM <hidden_size=12> (x, w, r)
        q = Squeeze (s, one)
        z = MatMul (q, m) }"""
    random = np.random.default_rng(0)
    shapes = {"w": (1, 48, 8), "r": (1, 48, 12), "m": (12, 6)}
    weights = random_weights(shapes, random, scale=1)
    onnx.save(model_of(text, {**weights, "one": [1]}, prepared=False), tmp_path / "m.onnx")
    drawn = random.standard_normal((20, 4, 1, 8)).astype(np.float32)
    np.savez(tmp_path / "c.npz", x=drawn)
    recipe = make_recipe(
        tmp_path / "m.onnx",
        calib=tmp_path / "c.npz",
        target=("rk3576",),
        scheme="w4a16",
        mixed="size=-40%",
    )
    made = quantize_file(recipe, tmp_path / "q.onnx")
    kept, rounded = 48 * 20 * 2, 12 * 6
    least = made.result.plan.tradeoffs[0].size_ratio
    assert least == approx((kept + rounded / 2) / (kept + rounded))
    assert [one.code for one in made.warnings] == ["mixed-budget"]


def test_the_plan_of_another_model_is_refused(recipe: Recipe, tmp_path: Path) -> None:
    quantize_file(recipe.with_options(mixed="sqnr=90"), tmp_path / "q.onnx")
    other = load_model(recipe.model)
    for node in other.graph.node:
        for position, name in enumerate(node.input):
            if name == "w1":
                node.input[position] = "other"
    next(one for one in other.graph.initializer if one.name == "w1").name = "other"
    onnx.save(other, tmp_path / "o.onnx")
    recipe = recipe.with_options(plan=tmp_path / "q.plan.toml")
    with pytest.raises(ModelError, match="no weight 'w1'"):
        convert_file(recipe.with_options(model=tmp_path / "o.onnx"), tmp_path / "o.rknn")


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"quantize": "w8a8", "mixed": "size=-20%"}, OptionError, "is for w4a16"),
        ({"mixed": "size=-20"}, OptionError, "is no budget"),
        ({"mixed": "size=-100%"}, OptionError, "is no budget"),
        ({"mixed": "sqnr=20", "calib_count": 6}, SamplesError, "too few calibration samples"),
    ],
)
def test_impossible_budgets_of_a_mix_are_refused(
    recipe: Recipe,
    change: dict[str, Any],
    error: Callable[..., Exception],
    match: str,
    tmp_path: Path,
) -> None:
    with pytest.raises(error, match=match):  # type: ignore[call-overload]
        quantize_file(recipe.with_options(**change), tmp_path / "q.onnx")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("nodes", "weights", "left"),
    [
        ("y = MatMul (v, r)", {"v": (24, 16)}, ["v"]),
        ("y = MatMul (r, v)", {"v": (1, 32, 24)}, ["v"]),
        ("y = MatMul (r, v)", {"v": (32,)}, ["v"]),
        ("y = MatMul (r, v)", {"v": (3, 32, 24)}, []),
    ],
)
def test_other_products_are_not_rounded_behind_our_back(
    nodes: str, weights: dict[str, tuple[int, ...]], left: list[str], tmp_path: Path
) -> None:
    model = model_of(
        f"(float[3,16,32] x) => (y) {{ p = MatMul (x, w) r = Relu (p) {nodes} }}",
        {"w": (32, 32), **weights},
    )
    onnx.save(model, tmp_path / "m.onnx")
    save_feeds(tmp_path / "c.npz", random_feeds({"x": (3, 16, 32)}, 8))
    recipe = make_recipe(
        tmp_path / "m.onnx",
        calib=tmp_path / "c.npz",
        target=("rk3576",),
        scheme="w4a16",
        method="min-max",
        mixed="off",
    )
    plan = quantize_file(recipe, tmp_path / "q.onnx").result.plan
    assert (list(plan.integer_weights), list(plan.high_precision)) == (["w"], left)
    options = {"model": tmp_path / "q.onnx", "plan": tmp_path / "q.plan.toml"}
    built = convert_file(
        make_recipe(calib=tmp_path / "c.npz", target=("rk3576",), **options), tmp_path / "q.rknn"
    )
    assert built.closeness.float_db is not None
    assert built.closeness.float_db > 45
