"""What a cut saves, which cut is chosen, and the whole of pruning to a budget."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import ModelProto

from graphs import Samples, Weights, model_of, random_feeds, random_weights
from pruning import prune
from rockpress.convert.chips.cycles import ddr_cycles, npu_cycles
from rockpress.convert.chips.targets import find_target
from rockpress.core.errors import ModelError, OptionError, SamplesError
from rockpress.core.graphs.graph import Graph
from rockpress.core.graphs.layers import LayerShape, layers_of, macs_of, pooling_of
from rockpress.core.graphs.model import load_model
from rockpress.core.passes.prepare import prepare_model
from rockpress.core.session import Session
from rockpress.prune.channels.channel_rules import build_dependency_graph
from rockpress.prune.channels.groups import find_groups
from rockpress.prune.channels.layer_selection import prunable_groups, select_groups
from rockpress.prune.channels.surgery import remove_channels
from rockpress.prune.prune import PruneMethod, Pruner
from rockpress.prune.results.budget import Budget, macs_cost, parse_budget, size_cost
from rockpress.prune.search.allocate import (
    PrunePlan,
    allocate,
    by_sensitivity,
    relax_plan,
    removed_mask,
    uniform,
)
from rockpress.prune.search.bisection import largest_share
from rockpress.prune.search.costs import Cost, CostFunction, CostModel
from rockpress.prune.search.width_candidates import Candidate

Allocation = Callable[[list[Candidate], CostModel], Iterator[PrunePlan]]


RESIDUAL: tuple[str, Weights] = (
    """(float[1,3,8,8] x) => (float[1,4] y) {
        a = Conv <pads=[1,1,1,1]> (x, w1, b1)
        r = Relu (a)
        b = Conv <pads=[1,1,1,1]> (r, w2, b2)
        s = Relu (b)
        c = Conv <pads=[1,1,1,1]> (s, w3, b3)
        d = Add (c, r)
        t = Relu (d)
        p = GlobalAveragePool (t)
        q = Flatten (p)
        y = Gemm <transB=1> (q, w4, b4) }""",
    random_weights(
        {
            **{"w1": (16, 3, 3, 3), "b1": (16,), "w2": (24, 16, 3, 3), "b2": (24,)},
            **{"w3": (16, 24, 3, 3), "b3": (16,), "w4": (4, 16), "b4": (4,)},
        },
        biases=0.3,
    ),
)
COSTS: dict[str, tuple[str, Weights]] = {
    "residual": RESIDUAL,
    "depthwise": (
        """(float[1,3,8,8] x) => (float[1,4,4,4] y) {
            a = Conv <strides=[2,2]> (x, w1, b1)
            d = Conv <group=8, pads=[1,1,1,1]> (a, w2, b2)
            r = Relu (d)
            y = Conv (r, w3) }""",
        {"w1": (8, 3, 2, 2), "b1": (8,), "w2": (16, 1, 3, 3), "b2": (16,), "w3": (4, 16, 1, 1)},
    ),
    "transposed": (
        """(float[1,3,4,4] x) => (float[1,4,16,16] y) {
            a = Conv (x, w1)
            t = ConvTranspose <strides=[2,2]> (a, w2)
            d = ConvTranspose <strides=[2,2], group=6> (t, w3)
            y = Conv (d, w4) }""",
        {"w1": (8, 3, 1, 1), "w2": (8, 6, 2, 2), "w3": (6, 1, 2, 2), "w4": (4, 6, 1, 1)},
    ),
    "one-dimensional, flattened": (
        """(float[1,3,16] x) => (float[1,4] y) {
            a = Conv <pads=[1,1], strides=[2]> (x, w1)
            r = Relu (a)
            f = Flatten (r)
            g = Gemm (f, w2)
            h = Relu (g)
            y = Gemm <transB=1> (h, w3) }""",
        {"w1": (8, 3, 3), "w2": (64, 12), "w3": (4, 12)},
    ),
    "rank 3": (
        """(float[1,7,6] x) => (float[1,7,5] y) {
            a = MatMul (x, w1)
            r = Relu (a)
            y = MatMul (r, w2) }""",
        {"w1": (6, 12), "w2": (12, 5)},
    ),
    "channels last": (
        """(float[1,4,4,3] x) => (float[1,4,4,5] y) {
            t = Transpose <perm=[0,3,1,2]> (x)
            a = Conv (t, w1)
            u = Transpose <perm=[0,2,3,1]> (a)
            m = MatMul (u, w2)
            r = Relu (m)
            y = MatMul (r, w3) }""",
        {"w1": (8, 3, 1, 1), "w2": (8, 12), "w3": (12, 5)},
    ),
    "token mixing": (
        """(float[1,3,4,4] x) => (float[1,5,7] y) {
            a = Conv (x, w1)
            f = Reshape (a, flat)
            m = MatMul (f, w2)
            t = Transpose <perm=[0,2,1]> (m)
            o = MatMul (t, w3)
            s = Sigmoid (o)
            u = Transpose <perm=[0,2,1]> (s)
            y = MatMul (u, w4) }""",
        {
            **{"w1": (6, 3, 1, 1), "flat": np.array([1, 6, 16], np.int64), "w2": (16, 10)},
            **{"w3": (6, 5), "w4": (10, 7)},
        },
    ),
    "attention": (
        """(float[1,7,6] x) => (float[1,7,5] y) {
            a = MatMul (x, w1)
            b = MatMul (x, w2)
            c = Transpose <perm=[0,2,1]> (b)
            d = MatMul (a, c)
            e = Softmax (d)
            f = MatMul (x, w3)
            g = MatMul (e, f)
            y = MatMul (g, w4) }""",
        {"w1": (6, 8), "w2": (6, 8), "w3": (6, 8), "w4": (8, 5)},
    ),
    "transposed Gemm": (
        """(float[6,7] x) => (float[7,5] y) {
            a = Gemm <transA=1> (x, w1)
            r = Relu (a)
            y = Gemm (r, w2) }""",
        {"w1": (6, 12), "w2": (12, 5)},
    ),
}


def unnamed(layers: list[LayerShape]) -> list[tuple[object, ...]]:
    return [tuple(vars(layer).values())[1:] for layer in layers]


@pytest.mark.parametrize("name", COSTS)
@settings(max_examples=12)
@given(data=st.data())
def test_the_cost_of_a_cut_is_that_of_the_cut_model(name: str, data: st.DataObject) -> None:
    model = model_of(*COSTS[name])
    dependency = build_dependency_graph(Graph(model))
    groups = find_groups(dependency)
    orders = {g.name: np.array(data.draw(st.permutations(range(g.size)))) for g in groups}
    found = [Candidate(g, orders[g.name], {}) for g in groups]
    costs = CostModel(dependency, found, macs_cost)
    assert weighted(costs.shapes({})) == layers_of(Graph(model))
    assert costs.total({}) == macs_of(model)
    # two stay: a depthwise layer of one channel is a plain convolution
    widths = {g.name: data.draw(st.integers(2, g.size)) for g in groups if g.size > 2}
    removed = removed_mask(dependency, {c.group.name: c for c in found}, widths)
    small = remove_channels(dependency, removed)
    assert weighted(costs.shapes(widths)) == layers_of(Graph(small))
    assert costs.total(widths) == macs_of(small)
    for group in widths:
        whole = {name: width for name, width in widths.items() if name != group}
        saved = costs.total(whole) - costs.total(widths)
        assert costs.saving(whole, group, widths[group]) == saved


def weighted(layers: list[LayerShape]) -> list[LayerShape]:
    return [one for one in layers if one.op != "pool"]


def test_layers_may_share_a_name() -> None:
    model = model_of(*RESIDUAL)
    expected = unnamed(layers_of(Graph(model)))
    for node in model.graph.node:
        node.name = "same"
    costs = CostModel(build_dependency_graph(Graph(model)), [], macs_cost)
    assert unnamed(weighted(costs.shapes({}))) == expected


@pytest.mark.parametrize(
    ("node", "shape", "weight", "macs"),
    [
        ("Conv <pads=[1,1,1,1]>", "[1,3,8,8]", (5, 3, 3, 3), 64 * 9 * 15),
        ("Conv <group=3>", "[1,3,8,8]", (6, 1, 3, 3), 36 * 9 * 6),
        ("Conv <strides=[2]>", "[1,3,9]", (5, 3, 3), 4 * 3 * 15),
        ("Conv", "[1,3,4,5,6]", (5, 3, 2, 2, 2), 3 * 4 * 5 * 8 * 15),
        ("ConvTranspose <strides=[2,2]>", "[1,3,4,4]", (3, 5, 2, 2), 16 * 4 * 15),
        ("MatMul", "[2,7,6]", (6, 5), 14 * 30),
        ("Gemm", "[7,6]", (6, 5), 7 * 30),
    ],
)
def test_multiply_accumulates(node: str, shape: str, weight: tuple[int, ...], macs: int) -> None:
    operator, _, attributes = node.partition(" ")
    text = f"(float{shape} x) => (float y) {{ y = {operator} {attributes} (x, w) }}"
    assert macs_of(model_of(text, {"w": weight})) == macs


def test_a_convolution_before_a_residual_add_reads_a_second_tensor() -> None:
    layers = {one.name: one for one in layers_of(Graph(model_of(*RESIDUAL)))}
    assert [name for name, one in layers.items() if one.adds] == ["c"]
    target, plain = find_target("rk3566"), replace(layers["c"], adds=False)
    more = ddr_cycles(layers["c"], target) - ddr_cycles(plain, target)
    assert more == pytest.approx(target.ddr_cycles_per_kb * 16 * 8 * 8 / 1024)


@pytest.mark.parametrize(
    ("size", "chip", "cycles"),
    [  # the compiler's table (2.5.0), of the first convolution that it makes of the pooling
        ((64, 7, 7), "rk3588", 784),
        ((96, 7, 7), "rk3566", 2352),
        ((320, 7, 7), "rk3576", 3920),
        ((128, 4, 12), "rk3576", 896),
        ((64, 20, 20), "rk3588", 784),
        ((64, 3, 40), "rk3566", 672),
    ],
)
def test_a_global_pooling_is_a_depthwise_convolution(
    size: tuple[int, int, int], chip: str, cycles: int
) -> None:
    shape = ",".join(map(str, (1, *size)))
    graph = Graph(model_of(f"(float[{shape}] x) => (float y) {{ y = GlobalAveragePool (x) }}", {}))
    pooling = pooling_of(graph, graph.nodes[0])
    assert pooling is not None
    assert npu_cycles(pooling, find_target(chip)) == cycles
    assert (macs_cost(pooling), size_cost(pooling)) == (0, 0)


def candidates(model: ModelProto, errors: dict[str, dict[int, float]]) -> list[Candidate]:
    groups = find_groups(build_dependency_graph(Graph(model)))
    return [Candidate(g, np.arange(g.size), errors[g.name]) for g in groups]


ERRORS = {"w1": {4: 40.0, 8: 9.0, 12: 3.0}, "w2": {8: 2.0, 16: 0.1}}


def costs_of(model: ModelProto, found: list[Candidate], cost: Cost = macs_cost) -> CostModel:
    return CostModel(build_dependency_graph(Graph(model)), found, cost)


@pytest.mark.parametrize("allocation", [by_sensitivity, uniform])
@given(share=st.floats(0.01, 0.85))
@settings(max_examples=15)
def test_the_budget_is_met_with_allowed_widths(allocation: Allocation, share: float) -> None:
    model = model_of(*RESIDUAL)
    found = candidates(model, ERRORS)
    costs = costs_of(model, found)
    point = allocate(allocation(found, costs), share)
    assert point.cost == pytest.approx(costs.total(point.widths))
    assert point.cost <= macs_of(model) * (1 - share) * (1 + 1e-9)
    assert all(kept in ERRORS[name] for name, kept in point.widths.items())
    assert point.error == pytest.approx(sum(ERRORS[n][w] for n, w in point.widths.items()))


def test_the_cheapest_cut_is_made_first() -> None:
    model = model_of(*RESIDUAL)
    found = candidates(model, ERRORS)
    costs = costs_of(model, found)
    assert allocate(by_sensitivity(found, costs), 0.1).widths == {"w2": 16}
    assert allocate(by_sensitivity(found, costs), 0).widths == {}


@given(share=st.floats(0.01, 0.85))
@settings(max_examples=15)
def test_channels_cut_beyond_the_budget_are_given_back(share: float) -> None:
    model = model_of(*RESIDUAL)
    errors = {"w1": {8: 5.0, 12: 3.0, 4: 9.0}, "w2": dict.fromkeys((4, 8, 12, 16), 0.001)}
    found = candidates(model, errors)
    costs = costs_of(model, found)
    greedy = allocate(by_sensitivity(found, costs), share)
    point = relax_plan(greedy, share, found, costs)
    assert point.cost <= macs_of(model) * (1 - share)
    assert point.error <= greedy.error + 1e-9
    for name, width in point.widths.items():  # nothing more can be given back
        wider = [w for w in [*errors[name], 16 if name == "w1" else 24] if w > width]
        assert costs.total({**point.widths, name: min(wider)}) > macs_of(model) * (1 - share)


def test_uniform_cuts_all_alike() -> None:
    model = model_of(*RESIDUAL)
    errors = {name: dict.fromkeys(range(1, size), 1.0) for name, size in (("w1", 16), ("w2", 24))}
    found = candidates(model, errors)
    widths = allocate(uniform(found, costs_of(model, found)), 0.4).widths
    assert widths["w1"] / 16 == pytest.approx(widths["w2"] / 24, abs=1 / 16)


def test_a_budget_out_of_reach_says_what_can_be_had() -> None:
    model = model_of(*RESIDUAL)
    found = candidates(model, ERRORS)
    costs = costs_of(model, found)
    least = costs.total({"w1": 4, "w2": 8}) / macs_of(model) - 1
    with pytest.raises(OptionError) as caught:
        allocate(by_sensitivity(found, costs), 0.99)
    assert "-99" in caught.value.message
    assert f"{least:+.1%}" in caught.value.message


def test_cuts_that_only_save_together_are_found() -> None:
    model = model_of(*RESIDUAL)
    errors = {"w1": {4: 0.5}, "w2": {16: 0.1, 8: 0.3}}
    found = candidates(model, errors)
    costs = costs_of(model, found, lambda layer: float(max(layer.cin, layer.cout)))
    widths = allocate(by_sensitivity(found, costs), 1 - 29 / 82).widths
    assert widths == {"w1": 4, "w2": 8}


def output_error(model: ModelProto, other: ModelProto, samples: Samples) -> float:
    first, second = Session(model), Session(other)
    return float(np.mean([np.mean((first.run(f)[0] - second.run(f)[0]) ** 2) for f in samples]))


@pytest.mark.parametrize("kind", ["macs", "size"])
@pytest.mark.parametrize("share", [0.2, 0.5])
def test_pruning_meets_its_budget_and_least_squares_is_better(
    share: float, kind: str, tmp_path: Path
) -> None:
    model = model_of(*RESIDUAL)
    before = model.SerializeToString()
    samples, fresh = random_feeds(model, 48), random_feeds(model, 24, seed=1)
    cost = {"macs": macs_cost, "size": size_cost}[kind]
    errors = {}
    for recover in ("least-squares", "none"):
        path = tmp_path / f"{recover}.onnx"
        budget = Budget(kind, share)
        result = prune(
            model,
            path,
            samples,
            budget,
            cost=CostFunction(cost, 4),
            method=PruneMethod(recover=recover),
        )
        small = load_model(path)
        onnx.checker.check_model(small, full_check=True)
        assert result.cost_after <= result.cost_before * (1 - share)
        assert result.cost_after == sum(map(cost, layers_of(Graph(small))))
        assert (result.macs_before, result.macs_after) == (macs_of(model), macs_of(small))
        assert all(group.after % 4 == 0 for group in result.groups)
        errors[recover] = output_error(model, small, fresh)
    assert errors["least-squares"] < 0.5 * errors["none"]
    assert model.SerializeToString() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["least-squares.onnx", "none.onnx"]


def test_pruning_twice_gives_the_same_file(tmp_path: Path) -> None:
    model = model_of(*RESIDUAL)
    for name in "ab":
        budget = Budget("macs", 0.3)
        prune(
            model, tmp_path / name, random_feeds(model, 8), budget, cost=CostFunction(macs_cost, 4)
        )
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_pruned_model_can_be_pruned_again(tmp_path: Path) -> None:
    flat = np.array([1, 256], np.int64)
    model = model_of(
        """(float[1,3,4,4] x) => (float[1,4] y) {
            a = Conv (x, w1, b1)
            f = Reshape (a, flat)
            y = Gemm (f, w2, b2) }""",
        {"w1": (16, 3, 1, 1), "b1": (16,), "w2": (256, 4), "b2": (4,), "flat": flat},
    )
    samples = random_feeds(model, 8)
    for _ in range(2):
        prune(model, tmp_path / "a", samples, Budget("macs", 0.2), cost=CostFunction(macs_cost, 2))
        model = prepare_model(load_model(tmp_path / "a"))
        assert [out.shape for out in Session(model).run(samples[0])] == [(1, 4)]


def test_no_samples(tmp_path: Path) -> None:
    model = model_of(*RESIDUAL)
    with pytest.raises(SamplesError):
        prune(model, tmp_path / "a", [], Budget("macs", 0.2), cost=CostFunction(macs_cost, 4))
    assert list(tmp_path.iterdir()) == []


def test_samples_that_can_be_read_only_once(tmp_path: Path) -> None:
    model = model_of(*RESIDUAL)

    def once() -> Iterator[dict[str, NDArray[np.float32]]]:
        yield from random_feeds(model, 8)

    with pytest.raises(SamplesError, match="only once"):
        prune(model, tmp_path / "a", once(), Budget("macs", 0.2), cost=CostFunction(macs_cost, 4))


def test_a_model_without_channels_to_remove(tmp_path: Path) -> None:
    model = model_of(
        "(float[1,3,4,4] x) => (float[1,5,4,4] y) { y = Conv (x, w) }", {"w": (5, 3, 1, 1)}
    )
    with pytest.raises(ModelError, match="no channels"):
        prune(model, tmp_path / "a", [], Budget("macs", 0.2), cost=CostFunction(macs_cost, 4))


def test_operators_that_stand_in_the_way_are_named(tmp_path: Path) -> None:
    model = model_of(
        """(float[1,3,4,4] x) => (float[1,4,4,4] y) {
            a = Conv (x, w1)
            b = LRN <size=3> (a)
            y = Conv (b, w2) }""",
        {"w1": (8, 3, 1, 1), "w2": (4, 8, 1, 1)},
    )
    with pytest.raises(ModelError, match="LRN"):
        prune(model, tmp_path / "a", [], Budget("macs", 0.2), cost=CostFunction(macs_cost, 4))


def test_groups_narrower_than_a_step(tmp_path: Path) -> None:
    model = model_of(*RESIDUAL)
    with pytest.raises(OptionError, match="out of reach"):
        budget, method = Budget("macs", 0.2), PruneMethod(keep=("block of *",))
        given = random_feeds(model, 2)
        prune(model, tmp_path / "a", given, budget, cost=CostFunction(macs_cost, 32), method=method)


@pytest.mark.parametrize("given", [("wish",), ("obs", "wish"), ("obs", "uniform", "wish")])
def test_an_unknown_method(given: tuple[str, ...]) -> None:
    with pytest.raises(OptionError, match="wish"):
        PruneMethod(*given)  # type: ignore[arg-type]


@pytest.mark.parametrize("criterion", ["wanda", "magnitude"])
@pytest.mark.parametrize("allocation", ["sensitivity", "uniform"])
def test_the_baselines_meet_the_budget(criterion: str, allocation: str, tmp_path: Path) -> None:
    model = model_of(*RESIDUAL)
    result = prune(
        model,
        tmp_path / "a.onnx",
        random_feeds(model, 8),
        Budget("macs", 0.3),
        cost=CostFunction(macs_cost, 4),
        method=PruneMethod(criterion, allocation, recover="none"),
    )
    assert macs_of(load_model(tmp_path / "a.onnx")) == result.cost_after <= 0.7 * macs_of(model)


def test_the_result_tells_what_was_done(tmp_path: Path) -> None:
    model = model_of(*RESIDUAL)
    budget = Budget("macs", 0.4)
    result = prune(
        model, tmp_path / "a", random_feeds(model, 12), budget, cost=CostFunction(macs_cost, 4)
    )
    assert result.measure == "agreement"
    ratios = [point.cost_ratio for point in result.curve]
    assert ratios == sorted(ratios, reverse=True)
    assert any(ratio == result.cost_after / result.cost_before for ratio in ratios)
    assert ratios[-1] <= 0.5 + 1e-9
    errors = [point.error for point in result.curve]
    assert errors == sorted(errors)
    assert all(0 <= point.likeness <= 1 for point in result.curve)
    for group in result.groups:
        assert (group.saved > 0) == (group.after < group.before)
        assert set(group.sensitivity) <= set(range(4, group.before, 4))
        assert group.name in group.layers


def test_a_judgement_serves_several_budgets(tmp_path: Path) -> None:
    model = model_of(*RESIDUAL)
    samples = random_feeds(model, 8)
    pruner = Pruner(model, samples, cost=CostFunction(macs_cost, 4), method=PruneMethod())
    for name, share in (("a", 0.5), ("b", 0.2)):
        pruner.prune(Budget("macs", share), tmp_path / name)
    prune(model, tmp_path / "c", samples, Budget("macs", 0.2), cost=CostFunction(macs_cost, 4))
    assert (tmp_path / "b").read_bytes() == (tmp_path / "c").read_bytes()
    assert macs_of(load_model(tmp_path / "a")) < macs_of(load_model(tmp_path / "b"))


def test_pruning_goes_as_far_as_the_drop_allows(tmp_path: Path) -> None:
    model = model_of(*RESIDUAL)
    pruner = Pruner(
        model, random_feeds(model, 8), cost=CostFunction(macs_cost, 4), method=PruneMethod()
    )

    def judge(small: ModelProto) -> float:  # exactly what the MACs say, to know the answer
        return macs_of(small) / macs_of(model)

    result = pruner.prune_within(0.4, judge, Budget("macs", 0.9), tmp_path / "a")
    left = macs_of(load_model(tmp_path / "a")) / macs_of(model)
    assert 0.6 <= left < 0.75, result.attempts
    assert result.attempts[0].share <= 0.9
    assert {one.retention >= 0.6 for one in result.attempts} == {True, False}
    with pytest.raises(OptionError, match="no cut keeps"):
        pruner.prune_within(0.001, judge, Budget("macs", 0.9), tmp_path / "b")
    assert not (tmp_path / "b").exists()


@given(threshold=st.floats(0.05, 0.9), most=st.floats(0.1, 0.9))
def test_bisection_comes_close_from_below(threshold: float, most: float) -> None:
    def retention(share: float) -> float:
        return 1.0 if share <= threshold else 0.5

    tried = largest_share(retention, 0.98, most)
    best = max(one.share for one in tried if one.retention >= 0.98)
    assert best <= threshold
    assert best == most or threshold - best <= most / 2**5 + 1e-9


@pytest.mark.parametrize(
    ("keep", "only", "cut"),
    [
        ([], [], {"w1", "w2"}),
        (["w2"], [], {"w1"}),
        (["w*"], [], set()),
        ([], ["first"], {"w1"}),
        ([], ["*cond", "w1"], {"w1", "w2"}),
        (["w1"], ["w*"], {"w2"}),
    ],
)
def test_layers_are_kept_by_name(keep: list[str], only: list[str], cut: set[str]) -> None:
    model = model_of(*RESIDUAL)
    for node, name in zip(model.graph.node, ("first", "", "second"), strict=False):
        node.name = name
    dependency = build_dependency_graph(Graph(model))
    groups = find_groups(dependency)
    names = {group.name for group in select_groups(dependency, groups, keep, only)}
    assert names == cut


@given(whole=st.floats(1.0, 1e9), part=st.floats(1e-3, 1.0))
def test_the_most_that_can_be_saved_can_be_asked_for(whole: float, part: float) -> None:
    least = PrunePlan({"w1": 8}, whole * part, 0.0)
    points = [PrunePlan({}, whole, 0.0), least]
    assert allocate(points, 1 - least.cost / whole) in points
    with pytest.raises(OptionError, match="out of reach"):
        allocate(points, 1 - least.cost / whole + 1e-6)


def test_globs_that_leave_nothing() -> None:
    dependency = build_dependency_graph(Graph(model_of(*RESIDUAL)))
    with pytest.raises(OptionError, match="leaves nothing to prune"):
        prunable_groups(dependency, ["*"], [])


def test_a_glob_that_names_nothing() -> None:
    dependency = build_dependency_graph(Graph(model_of(*RESIDUAL)))
    with pytest.raises(OptionError, match=r"w9.*no channels"):
        prunable_groups(dependency, ["w1", "w9*"], [])


@pytest.mark.parametrize(
    "text", ["", "macs", "macs=30%", "macs=-30", "macs=-0%", "macs=-100%", "time=-3%", "macs=--3%"]
)
def test_a_budget_that_is_none(text: str) -> None:
    with pytest.raises(OptionError):
        parse_budget(text)
