"""What a cut saves, which cut is chosen, and the whole of pruning to a budget."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import ModelProto, numpy_helper

from rockpress.core.errors import ModelError, OptionError, SamplesError
from rockpress.core.graph import Graph
from rockpress.core.layers import LayerShape, layers_of, macs_of
from rockpress.core.model import load_model
from rockpress.core.prepare import fixed_input_shapes, prepare_model
from rockpress.core.session import Session
from rockpress.prune.allocate import CostModel, allocate, removed_mask
from rockpress.prune.candidates import Candidate
from rockpress.prune.dependency import build_dependency
from rockpress.prune.groups import find_groups
from rockpress.prune.prune import Budget, macs_cost, parse_budget, prune, size_cost
from rockpress.prune.surgery import remove_channels

Weights = dict[str, tuple[int, ...] | NDArray[np.generic]]
Feeds = list[dict[str, NDArray[np.float32]]]


def net(text: str, weights: Weights) -> ModelProto:
    """A prepared model from ONNX text; a weight given by its shape gets random values."""
    model = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["": 17]> net {text}')
    random = np.random.default_rng(0)
    for name, value in weights.items():
        if isinstance(value, tuple):
            scale = 1 / np.sqrt(np.prod(value[1:])) if len(value) > 1 else 0.3
            value = (random.standard_normal(value) * scale).astype(np.float32)
        model.graph.initializer.append(numpy_helper.from_array(value, name))
    return prepare_model(model)


def samples_for(model: ModelProto, count: int, seed: int = 0) -> Feeds:
    random = np.random.default_rng(seed)
    return [
        {
            name: random.standard_normal(shape).astype(np.float32)
            for name, shape in fixed_input_shapes(model).items()
        }
        for _ in range(count)
    ]


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
    {
        **{"w1": (16, 3, 3, 3), "b1": (16,), "w2": (24, 16, 3, 3), "b2": (24,)},
        **{"w3": (16, 24, 3, 3), "b3": (16,), "w4": (4, 16), "b4": (4,)},
    },
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
    model = net(*COSTS[name])
    dependency = build_dependency(Graph(model))
    costs = CostModel(dependency, macs_cost)
    removed = dependency.nothing_removed()
    assert costs.shapes(removed) == layers_of(Graph(model))
    assert costs.of(removed) == macs_of(model)
    for group in find_groups(dependency):
        # two stay: a depthwise layer of one channel is a plain convolution
        gone = data.draw(st.sets(st.integers(0, group.size - 1), max_size=group.size - 2))
        removed[group.roots[sorted(gone)]] = True
    small = remove_channels(dependency, removed)
    assert costs.shapes(removed) == layers_of(Graph(small))
    assert costs.of(removed) == macs_of(small)


def test_layers_may_share_a_name() -> None:
    model = net(*RESIDUAL)
    expected = unnamed(layers_of(Graph(model)))
    for node in model.graph.node:
        node.name = "same"
    dependency = build_dependency(Graph(model))
    costs = CostModel(dependency, macs_cost)
    assert unnamed(costs.shapes(dependency.nothing_removed())) == expected


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
    assert macs_of(net(text, {"w": weight})) == macs


def candidates(model: ModelProto, errors: dict[str, dict[int, float]]) -> list[Candidate]:
    groups = find_groups(build_dependency(Graph(model)))
    return [Candidate(g, np.arange(g.size), errors[g.name]) for g in groups]


ERRORS = {"w1": {4: 40.0, 8: 9.0, 12: 3.0}, "w2": {8: 2.0, 16: 0.1}}


@given(share=st.floats(0.01, 0.85))
@settings(max_examples=30)
def test_the_budget_is_met_with_allowed_widths(share: float) -> None:
    model = net(*RESIDUAL)
    costs = CostModel(build_dependency(Graph(model)), macs_cost)
    found = candidates(model, ERRORS)
    limit = macs_of(model) * (1 - share)
    widths = allocate(found, costs, limit)
    assert costs.of_widths({c.group.name: c for c in found}, widths) <= limit
    assert all(kept in ERRORS[name] for name, kept in widths.items())


def test_the_cheapest_cut_is_made_first() -> None:
    model = net(*RESIDUAL)
    costs = CostModel(build_dependency(Graph(model)), macs_cost)
    assert allocate(candidates(model, ERRORS), costs, macs_of(model) * 0.9) == {"w2": 16}
    assert allocate(candidates(model, ERRORS), costs, macs_of(model)) == {}


def test_a_budget_out_of_reach_says_what_can_be_had() -> None:
    model = net(*RESIDUAL)
    dependency = build_dependency(Graph(model))
    costs = CostModel(dependency, macs_cost)
    found = candidates(model, ERRORS)
    removed = removed_mask(dependency, {c.group.name: c for c in found}, {"w1": 4, "w2": 8})
    least = macs_of(remove_channels(dependency, removed)) / macs_of(model) - 1
    with pytest.raises(OptionError) as caught:
        allocate(found, costs, macs_of(model) * 0.01)
    assert "-99" in caught.value.message
    assert f"{least:+.1%}" in caught.value.message


def test_cuts_that_only_save_together_are_found() -> None:
    model = net(*RESIDUAL)
    costs = CostModel(
        build_dependency(Graph(model)), lambda layers: float(max(layer.cin for layer in layers))
    )
    errors = {"w1": {4: 0.5}, "w2": {16: 0.1, 8: 0.3}}
    assert allocate(candidates(model, errors), costs, 8) == {"w1": 4, "w2": 8}


def output_error(model: ModelProto, other: ModelProto, samples: Feeds) -> float:
    first, second = Session(model), Session(other)
    return float(np.mean([np.mean((first.run(f)[0] - second.run(f)[0]) ** 2) for f in samples]))


@pytest.mark.parametrize("kind", ["macs", "size"])
@pytest.mark.parametrize("share", [0.2, 0.5])
def test_pruning_meets_its_budget_and_least_squares_is_better(
    share: float, kind: str, tmp_path: Path
) -> None:
    model = net(*RESIDUAL)
    before = model.SerializeToString()
    samples, fresh = samples_for(model, 48), samples_for(model, 24, seed=1)
    cost = {"macs": macs_cost, "size": size_cost}[kind]
    errors = {}
    for recover in ("least-squares", "none"):
        path = tmp_path / f"{recover}.onnx"
        budget = Budget(kind, share)
        result = prune(model, path, samples, budget, cost=cost, step=4, recover=recover)
        small = load_model(path)
        onnx.checker.check_model(small, full_check=True)
        assert result.cost_after <= result.cost_before * (1 - share)
        assert result.cost_after == cost(layers_of(Graph(small)))
        assert (result.macs_before, result.macs_after) == (macs_of(model), macs_of(small))
        assert all(group.after % 4 == 0 for group in result.groups)
        errors[recover] = output_error(model, small, fresh)
    assert errors["least-squares"] < 0.5 * errors["none"]
    assert model.SerializeToString() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["least-squares.onnx", "none.onnx"]


def test_pruning_twice_gives_the_same_file(tmp_path: Path) -> None:
    model = net(*RESIDUAL)
    for name in "ab":
        budget = Budget("macs", 0.3)
        prune(model, tmp_path / name, samples_for(model, 8), budget, cost=macs_cost, step=4)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_pruned_model_can_be_pruned_again(tmp_path: Path) -> None:
    flat = np.array([1, 256], np.int64)
    model = net(
        """(float[1,3,4,4] x) => (float[1,4] y) {
            a = Conv (x, w1, b1)
            f = Reshape (a, flat)
            y = Gemm (f, w2, b2) }""",
        {"w1": (16, 3, 1, 1), "b1": (16,), "w2": (256, 4), "b2": (4,), "flat": flat},
    )
    samples = samples_for(model, 8)
    for _ in range(2):
        prune(model, tmp_path / "a", samples, Budget("macs", 0.2), cost=macs_cost, step=2)
        model = prepare_model(load_model(tmp_path / "a"))
        assert [out.shape for out in Session(model).run(samples[0])] == [(1, 4)]


def test_no_samples(tmp_path: Path) -> None:
    model = net(*RESIDUAL)
    with pytest.raises(SamplesError):
        prune(model, tmp_path / "a", [], Budget("macs", 0.2), cost=macs_cost, step=4)
    assert list(tmp_path.iterdir()) == []


def test_samples_that_can_be_read_only_once(tmp_path: Path) -> None:
    model = net(*RESIDUAL)

    def once() -> Iterator[dict[str, NDArray[np.float32]]]:
        yield from samples_for(model, 8)

    with pytest.raises(SamplesError, match="only once"):
        prune(model, tmp_path / "a", once(), Budget("macs", 0.2), cost=macs_cost, step=4)


def test_a_model_without_channels_to_remove(tmp_path: Path) -> None:
    model = net("(float[1,3,4,4] x) => (float[1,5,4,4] y) { y = Conv (x, w) }", {"w": (5, 3, 1, 1)})
    with pytest.raises(ModelError, match="no channels"):
        prune(model, tmp_path / "a", [], Budget("macs", 0.2), cost=macs_cost, step=4)


def test_what_stands_in_the_way_is_named(tmp_path: Path) -> None:
    model = net(
        """(float[1,3,4,4] x) => (float[1,4,4,4] y) {
            a = Conv (x, w1)
            b = LRN <size=3> (a)
            y = Conv (b, w2) }""",
        {"w1": (8, 3, 1, 1), "w2": (4, 8, 1, 1)},
    )
    with pytest.raises(ModelError, match="LRN"):
        prune(model, tmp_path / "a", [], Budget("macs", 0.2), cost=macs_cost, step=4)


def test_groups_narrower_than_a_step(tmp_path: Path) -> None:
    model = net(*RESIDUAL)
    with pytest.raises(OptionError, match="out of reach"):
        budget = Budget("macs", 0.2)
        prune(model, tmp_path / "a", samples_for(model, 2), budget, cost=macs_cost, step=32)


def test_an_unknown_recovery(tmp_path: Path) -> None:
    model = net(*RESIDUAL)
    with pytest.raises(OptionError, match="wish"):
        budget = Budget("macs", 0.2)
        prune(model, tmp_path / "a", [], budget, cost=macs_cost, step=4, recover="wish")


@pytest.mark.parametrize(
    "text", ["", "macs", "macs=30%", "macs=-30", "macs=-0%", "macs=-100%", "time=-3%", "macs=--3%"]
)
def test_a_budget_that_is_none(text: str) -> None:
    with pytest.raises(OptionError):
        parse_budget(text)
