"""2:4 sparsity as a stage: masks, their repair, what a run makes of them, and who is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import ModelProto

from commands import Run
from graphs import model_of
from pruning import divergence_on
from rockpress.convert.chips.targets import find_target
from rockpress.convert.manifest import manifest_path, read_manifest
from rockpress.core.errors import ModelError, OptionError
from rockpress.core.graphs.graph import Graph
from rockpress.core.graphs.sparsity import Axis, axis_of, is_sparse, sparse_axis
from rockpress.core.types import Array
from rockpress.pipeline.recipes.recipe import make_recipe
from rockpress.pipeline.tasks.pruning_options import require_sparsity
from rockpress.prune.repair import ridge_choice
from rockpress.prune.repair.least_squares import RIDGE
from rockpress.prune.sparse import sparse_fit
from rockpress.prune.sparse.masks import fours_of, lost_power, masked_least_squares, sparse_mask
from rockpress.prune.sparse.sparsify import SparseMethod, sparsify
from samples import save_feeds

SHAPE = (1, 8, 12, 12)


def everywhere(*axes: Axis) -> Callable[[onnx.NodeProto, Array], tuple[Axis, ...]]:
    """Layers of 32 outputs may be sparse along these axes; the head has ten."""

    def allowed(node: onnx.NodeProto, weight: Array) -> tuple[Axis, ...]:
        return axes if weight.shape[0] == 32 else ()

    return allowed


def network(seed: int = 0) -> ModelProto:
    """Three convolutions, the second and third around a residual Add, and a head of ten classes."""
    shapes = {"a.w": (32, 8, 3, 3), **dict.fromkeys(("b.w", "c.w"), (32, 32, 3, 3))}
    random = np.random.default_rng(seed)
    weights = {
        name: random.normal(size=shape) * np.sqrt(2 / np.prod(shape[1:]))
        for name, shape in {**shapes, "head.w": (10, 32)}.items()
    }
    return model_of(
        f"""(float{list(SHAPE)} x) => (float[1,10] y) {{
            [a] a = Conv <pads = [1,1,1,1]> (x, "a.w")
            ra = Relu (a)
            [b] b = Conv <pads = [1,1,1,1]> (ra, "b.w")
            rb = Relu (b)
            [c] c = Conv <pads = [1,1,1,1]> (rb, "c.w")
            sum = Add (c, ra)
            mean = GlobalAveragePool (sum)
            flat = Flatten (mean)
            [head] y = Gemm <transB = 1> (flat, "head.w") }}""",
        weights,
        opset=13,
        prepared=False,
    )


def samples(count: int = 24) -> list[dict[str, Array]]:
    random = np.random.default_rng(1)
    smooth = random.normal(size=(count, 1, 8, 3, 3)).repeat(4, axis=3).repeat(4, axis=4)
    noise = random.normal(size=(count, *SHAPE)) * 0.3
    return [{"x": one.astype(np.float32)} for one in smooth + noise]


def moments(width: int = 16) -> Array:
    random = np.random.default_rng(2)
    x = random.normal(size=(400, width)) @ random.normal(size=(width, width))
    return np.asarray(np.cov(x.T))


@pytest.mark.parametrize("criterion", ["magnitude", "wanda", "obs"])
@pytest.mark.parametrize("axis", ["input", "output"])
def test_a_mask_keeps_two_of_every_four(criterion: str, axis: Axis) -> None:
    matrix = np.random.default_rng(0).normal(size=(8, 16))
    fours = fours_of(8, 1 if axis == "output" else 2, axis)
    kept = sparse_mask(matrix, moments(), fours, axis, criterion)
    lines = kept[fours] if axis == "output" else kept.T[fours]  # (n, 4, others)
    assert (lines.sum(axis=1) == 2).all()


def test_the_repair_with_a_mask_held_is_that_of_each_row_alone() -> None:
    random, second = np.random.default_rng(0), moments() + np.eye(16)
    matrix, kept = random.normal(size=(5, 16)), random.random((5, 16)) < 0.5
    found = masked_least_squares(matrix, second, kept)
    assert not found[~kept].any()
    for row, values, mask in zip(matrix, found, kept, strict=True):
        on = np.flatnonzero(mask)
        exact = np.linalg.solve(second[np.ix_(on, on)], (second @ row)[on])
        np.testing.assert_allclose(values[on], exact, rtol=1e-4, atol=1e-5)


def test_optimal_brain_surgeon_loses_less_than_the_smallest_weights() -> None:
    matrix, second = np.random.default_rng(0).normal(size=(64, 16)), moments() + np.eye(16)
    lost = {}
    for criterion in ("obs", "magnitude"):
        kept = sparse_mask(matrix, second, fours_of(16, 1, "input"), "input", criterion)
        lost[criterion] = lost_power(matrix, masked_least_squares(matrix, second, kept), second)
    assert lost["obs"] < lost["magnitude"]


@pytest.mark.parametrize("axes", [("input",), ("output",), ("output", "input")])
def test_every_layer_that_may_be_is_sparse_and_the_others_are_not(axes: tuple[Axis, ...]) -> None:
    model = network()
    sparse, found = sparsify(model, samples(), axes=everywhere(*axes))
    weights = Graph(sparse).weights
    assert [one.name for one in found.layers] == ["a", "b", "c"]
    assert found.dense == ("head",)
    for layer in found.layers:
        node = next(node for node in sparse.graph.node if node.name == layer.name)
        weight = weights[f"{layer.name}.w"]
        assert layer.axis in axes
        assert is_sparse(weight, axis_of(node, layer.axis))
        assert np.count_nonzero(weight) == layer.weights // 2
    assert weights["head.w"].all()
    onnx.checker.check_model(sparse)
    assert all(Graph(model).weights["a.w"].ravel())  # the model given is as it was


def test_the_repair_is_worth_it_and_the_outputs_stay() -> None:
    likeness = {}
    for recover in ("least-squares", "none"):
        method = SparseMethod("magnitude", recover)
        _, found = sparsify(network(), samples(), axes=everywhere("input"), method=method)
        likeness[recover] = np.mean([one.error for one in found.layers])
    assert likeness["least-squares"] < 0.7 * likeness["none"]


@pytest.mark.parametrize("count", [16, 40])
def test_the_repair_serves_other_samples_too(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """Held less strongly, layers of hundreds of inputs learn the samples by heart."""
    model, fresh = network(), samples(200)[count:]
    noise = divergence_on(model, fresh)
    chosen, _ = sparsify(model, samples(count), axes=everywhere("input", "output"))
    monkeypatch.setattr(ridge_choice, "RIDGES", (RIDGE,))
    monkeypatch.setattr(sparse_fit, "RIDGES", (RIDGE,))
    monkeypatch.setattr(ridge_choice, "FEW_RIDGE", RIDGE)
    monkeypatch.setattr(sparse_fit, "FEW_RIDGE", RIDGE)
    least, _ = sparsify(model, samples(count), axes=everywhere("input", "output"))
    assert noise(chosen) < 0.9 * noise(least)


def test_layers_are_kept_and_chosen_by_name() -> None:
    axes = everywhere("output")
    kept = sparsify(network(), samples(4), axes=axes, method=SparseMethod(keep=("b",)))[1]
    assert [one.name for one in kept.layers] == ["a", "c"]
    only = sparsify(network(), samples(4), axes=axes, method=SparseMethod(only=("c.w",)))[1]
    assert [one.name for one in only.layers] == ["c"]
    with pytest.raises(OptionError, match="'nothing' names no layer"):
        sparsify(network(), samples(4), axes=axes, method=SparseMethod(only=("nothing",)))
    with pytest.raises(ModelError, match="no layer of this model can be 2:4 sparse"):
        sparsify(network(), samples(4), axes=lambda node, weight: ())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"target": ("rk3588",)}, "rk3588 cannot leave zeros out"),
        ({"target": ("rk3576", "rk3566")}, "rk3566 cannot leave zeros out"),
        ({"scheme": "w4a16"}, "does not recognise it in w4a16"),
        ({"max_drop": 0.02}, "is not tried by --max-drop"),
        ({"sparsity": "3:4"}, "is not one of 2:4"),
    ],
)
def test_sparsity_that_gains_nothing_is_refused_before_anything_runs(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    options: dict[str, Any] = {"target": ("rk3576",), "sparsity": "2:4", **changes}
    with pytest.raises(OptionError, match=message) as caught:
        recipe = make_recipe(tmp_path / "m.onnx", calib=tmp_path, **options)
        for target in recipe.run.target:
            require_sparsity(recipe.prune, recipe.quantize.scheme, find_target(target))
    assert caught.value.hint or "is not one of" in caught.value.message


def test_the_command_writes_a_sparse_model(tmp_path: Path, rockpress: Run) -> None:
    model, calib, out = tmp_path / "m.onnx", tmp_path / "calib.npz", tmp_path / "s.onnx"
    onnx.save(network(), model)
    save_feeds(calib, samples())
    line = ["prune", model, "--calib", calib, "-o", out, "--sparsity", "2:4"]
    code, printed, _ = rockpress(*line, "--target", "rv1126b", "--json")
    document = json.loads(printed)
    assert code == 0
    assert document["budget"] is None
    assert document["groups"] == []
    layers = document["sparsity"]["layers"]
    assert {(one["name"], one["axis"]) for one in layers} == {(name, "output") for name in "abc"}
    code, printed, _ = rockpress(*line, "--target", "rk3576", "--budget", "macs=-20%")
    assert code == 0
    assert "2:4 sparse layer" in printed
    assert "MACs -" in printed
    code, _, err = rockpress(*line)
    assert (code, err.splitlines()[0]) == (
        2,
        "error: --sparsity 2:4: rk3588 cannot leave zeros out of a weight",
    )
    assert rockpress(*line[:-1], "3:4")[0] == 2


def test_a_run_is_sparse_to_the_end_and_check_builds_it_again(
    tmp_path: Path, rockpress: Run
) -> None:
    model, calib, out = tmp_path / "m.onnx", tmp_path / "calib.npz", tmp_path / "build"
    onnx.save(network(), model)
    save_feeds(calib, samples())
    line = ["--calib", calib, "--method", "gptq"]
    code, printed, err = rockpress(
        *("run", model, *line, "--sparsity", "2:4", "--target", "rk3576", "-o", out, "--json")
    )
    assert code == 0, err
    (target,) = json.loads(printed)["targets"]
    assert not [one for one in target["warnings"] if one["code"] == "toolkit-sparse"]
    ratios = {one["name"].partition(":")[2]: one["sparse_ratio"] for one in target["layers"]}
    assert [ratios[name] for name in ("a", "b")] == [0.5, 0.5]
    assert sum(map(bool, ratios.values())) == 3
    assert [one["name"] for one in target["pruning"]["sparsity"]["layers"]] == ["a", "b", "c"]
    intended = onnx.load(out / "rk3576" / "m.intended.onnx")
    graph = Graph(intended)
    convolutions = [node for node in graph.nodes if node.op_type == "Conv"]
    for node in convolutions:  # GPTQ has changed the weights that stay, and no zero
        steps = graph.weights[graph.producers[node.input[1]].input[0]]
        assert sparse_axis(node, steps)
    rknn = out / "rk3576" / "m.rknn"
    assert read_manifest(manifest_path(rknn)).sparse
    assert ", 3 of them 2:4 sparse" in rockpress("inspect", rknn)[1]
    code, printed, err = rockpress("check", model, rknn, "--calib", calib, "--json")
    assert code == 0, err
    (again,) = json.loads(printed)["targets"]
    assert [one["sparse_ratio"] for one in again["layers"]] == [
        one["sparse_ratio"] for one in target["layers"]
    ]
    assert again["retention"]["sqnr_db"] == pytest.approx(target["retention"]["sqnr_db"])
