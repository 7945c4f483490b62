"""Which plan of widths is kept: the searched one, fewer cuts, or the same share of every group."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto

from graphs import Samples, model_of, random_feeds, random_weights
from pruning import divergence_on, prune
from rockpress.core.graphs.layers import macs_of
from rockpress.core.graphs.model import load_model
from rockpress.core.session import Session
from rockpress.prune.prune import PruneMethod, Pruner
from rockpress.prune.results.budget import Budget, macs_cost
from rockpress.prune.results.prune_result import PruneResult
from rockpress.prune.search.costs import CostFunction
from rockpress.prune.search.divergence import error_on

# Two branches know the same. Each alone can go without any harm, so the search takes both.
TWINS = """(float[1,8] x) => (float[1,6] y) {
    a = Gemm <transB=1> (x, w1, b1)
    b = Gemm <transB=1> (x, w2, b2)
    c = Gemm <transB=1> (x, w3, b3)
    r = Relu (a)
    s = Relu (b)
    t = Relu (c)
    j = Concat <axis=1> (r, s, t)
    y = Gemm <transB=1> (j, w4, b4) }"""


SIAMESE = """(float[1,8] x, float[1,8] z) => (float[1,5] y, float[1,5] v) {
    a = Gemm <transB=1> (x, w1, b1)
    b = Gemm <transB=1> (z, w1, b2)
    r = Relu (a)
    s = Relu (b)
    y = Gemm <transB=1> (r, w2, b3)
    v = Gemm <transB=1> (s, w2, b4) }"""


WIDE = """(float[1,8] x) => (float[1,6] y) {
    a = Gemm <transB=1> (x, w1, b1)
    r = Relu (a)
    y = Gemm <transB=1> (r, w2, b2) }"""


def twins(*, third_is_dead: bool = False) -> ModelProto:
    random = np.random.default_rng(0)
    shared = random.standard_normal((16, 8))
    weights = {
        **{"w1": shared, "w2": shared, "w3": random.standard_normal((16, 8)) / 4},
        **{"w4": random.standard_normal((6, 48)) / 7, "b4": random.standard_normal(6) / 3},
        **{"b1": np.full(16, 0.1), "b2": np.full(16, 0.1), "b3": random.standard_normal(16) / 3},
    }
    weights["w4"][:, 32:] *= not third_is_dead
    return model_of(TWINS, weights)


def samples(count: int, seed: int = 0) -> Samples:
    return random_feeds({"x": (1, 8)}, count, seed)


def pruned(share: float, output: Path, **how: str | tuple[str, ...]) -> PruneResult:
    budget, method = Budget("macs", share), PruneMethod(**how)  # type: ignore[arg-type]
    given = samples(200)
    return prune(twins(), output, given, budget, cost=CostFunction(macs_cost, 4), method=method)


def test_the_uniform_plan_is_kept_where_the_cuts_spoil_each_other(tmp_path: Path) -> None:
    result = pruned(0.5, tmp_path / "a")
    pruned(0.5, tmp_path / "even", allocation="uniform")
    assert result.choice is not None
    assert result.choice.plan == "uniform"
    assert result.choice.values["uniform"] < result.choice.values["searched"]
    assert (tmp_path / "a").read_bytes() == (tmp_path / "even").read_bytes()


def test_fewer_cuts_are_kept_where_cuts_spoil_each_other(tmp_path: Path) -> None:
    """A little of both twins does harm, as much of the second alone none: the first knows it."""
    result = pruned(0.1, tmp_path / "a")
    assert result.choice is not None
    assert result.choice.plan == "concentrated"
    assert result.choice.values["concentrated"] < 1e-5 < 1e-4 < result.choice.values["searched"]
    assert [group.after for group in result.groups] == [16, 8, 16]


def test_the_searched_plan_is_kept_where_it_is_better(tmp_path: Path) -> None:
    model, budget = twins(third_is_dead=True), Budget("macs", 0.2)
    result = prune(model, tmp_path / "a", samples(60), budget, cost=CostFunction(macs_cost, 4))
    assert result.choice is not None
    assert result.choice.plan == "searched"
    assert result.choice.values["searched"] < 1e-5 < result.choice.values["uniform"]
    assert [group.after for group in result.groups] == [16, 16, 4]


@pytest.mark.parametrize("share", [0.1, 0.3, 0.4])
def test_plans_are_within_the_budget_and_leave_kept_layers(share: float, tmp_path: Path) -> None:
    result = pruned(share, tmp_path / "a", keep=("w3",))
    assert macs_of(load_model(tmp_path / "a")) == result.cost_after
    assert result.cost_after <= (1 - share) * result.cost_before
    assert "w3" not in {group.name for group in result.groups}


def test_a_drop_is_tried_with_both_plans(tmp_path: Path) -> None:
    model = twins()
    pruner = Pruner(model, samples(150), cost=CostFunction(macs_cost, 4), method=PruneMethod())
    held_out = samples(50, seed=1)
    reference = Session(model).stacked(held_out)[0]

    def judge(small: ModelProto) -> float:
        found = Session(small).stacked(held_out)[0]
        return float(1 - ((reference - found) ** 2).sum() / (reference**2).sum())

    result = pruner.prune_within(0.06, judge, Budget("macs", 0.5), tmp_path / "a")
    assert result.choice is not None
    assert result.choice.measure == "retention"
    kept = judge(load_model(tmp_path / "a"))
    assert kept == pytest.approx(max(result.choice.values.values()))
    assert kept >= 0.94


def test_a_layer_with_more_inputs_than_samples_does_not_look_free(tmp_path: Path) -> None:
    shapes = {"w1": (64, 8), "b1": (64,), "w2": (6, 64), "b2": (6,)}
    model, path = model_of(WIDE, random_weights(shapes, scale=1 / 4)), tmp_path / "a"
    budget, fresh = Budget("macs", 0.5), samples(200, seed=1)
    path = tmp_path / "a"
    result = prune(model, path, samples(40), budget, cost=CostFunction(macs_cost, 8))
    (group,) = result.groups
    real = divergence_on(model, fresh)(load_model(path))
    assert real > 1e-4
    assert 0.3 * real < group.error


def test_channels_that_a_shared_weight_alone_reads_are_cut(tmp_path: Path) -> None:
    shapes = {"w1": (16, 8), "b1": (16,), "b2": (16,), "w2": (5, 16), "b3": (5,), "b4": (5,)}
    model = model_of(SIAMESE, random_weights(shapes, scale=1))
    given = [{**a, "z": b["x"]} for a, b in zip(samples(80), samples(80, seed=2), strict=True)]
    budget = Budget("macs", 0.25)
    errors = {}
    for recover in ("least-squares", "none"):
        path, method = tmp_path / recover, PruneMethod(recover=recover)
        result = prune(
            model,
            path,
            given,
            budget,
            cost=CostFunction(macs_cost, 4),
            method=method,
        )
        assert [group.after for group in result.groups] == [12]
        wanted, found = (Session(one).stacked(given) for one in (model, load_model(path)))
        errors[recover] = sum(((a - b) ** 2).mean() for a, b in zip(wanted, found, strict=True))
    assert errors["least-squares"] < 0.5 * errors["none"]


def test_too_few_samples_to_hold_one_out(tmp_path: Path) -> None:
    budget = Budget("macs", 0.3)
    result = prune(twins(), tmp_path / "a", samples(2), budget, cost=CostFunction(macs_cost, 4))
    assert result.choice is None
    assert macs_of(load_model(tmp_path / "a")) <= 0.7 * result.cost_before


def test_where_there_is_no_choice_the_twin_is_written_and_not_evaluated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluated: list[ModelProto] = []

    def watched(model: ModelProto, held_out: Samples) -> Callable[[ModelProto], float]:
        evaluated.append(model)
        return error_on(model, held_out)

    monkeypatch.setattr("rockpress.prune.prune.error_on", watched)
    budget, given = Budget("macs", 0.5), samples(200)
    for allocation, times in (("uniform", 0), ("sensitivity", 1)):
        pruner = Pruner(
            twins(),
            given,
            cost=CostFunction(macs_cost, 4),
            method=PruneMethod(allocation=allocation),
        )
        output, twin = tmp_path / f"{allocation}.onnx", tmp_path / f"{allocation}.twin.onnx"
        result = pruner.prune(budget, output, twin)
        assert (result.choice is not None, len(evaluated)) == (times > 0, times)
        # repaired with three quarters of the samples, and no other plan
        small, whole = load_model(twin), load_model(output)
        assert macs_of(small) == macs_of(whole)
        assert 0 < divergence_on(whole, given)(small) < 0.1


def test_plans_are_judged_by_all_samples_and_outputs() -> None:
    text = "(float[1,1] x) => (float[1,1] y, float[1,1] z) { y = Mul (x, a) z = Mul (x, b) }"
    model, other = (
        model_of(text, {"a": np.array([a], np.float32), "b": np.array([b], np.float32)})
        for a, b in ((1.0, 2.0), (0.5, 3.0))
    )
    feeds = [{"x": np.array([[value]], np.float32)} for value in (1, -1)]
    # off by 0.5 of 1, and by 1 of 2
    assert error_on(model, feeds)(other) == pytest.approx(0.25 + 0.25)
    assert error_on(model, feeds)(model) == 0
