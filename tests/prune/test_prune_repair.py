"""The arithmetic behind pruning: layers as matrices, the order of removal, least squares."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import ModelProto

from graphs import Samples, Weights, model_of, random_feeds
from pruning import mark_removed
from rockpress.core.graphs.dense import (
    dense_layers,
    patches,
    position_count,
    responses,
    with_biases,
)
from rockpress.core.graphs.graph import Graph, extract_until
from rockpress.core.session import Session
from rockpress.core.streaming.moments import Moments, sampled_positions
from rockpress.prune.channels.channel_rules import build_dependency_graph
from rockpress.prune.channels.groups import find_groups
from rockpress.prune.channels.surgery import remove_channels
from rockpress.prune.repair.least_squares import solve
from rockpress.prune.repair.refit import Teacher, refit
from rockpress.prune.repair.ridge_choice import FEW_RIDGE
from rockpress.prune.search.divergence import divergence
from rockpress.prune.search.importance import Reader, removal_order
from rockpress.prune.search.trials import Trials, kept_channels
from rockpress.prune.search.width_candidates import (
    allowed_widths,
    candidates_of,
    errors_between,
    layer_moments,
    measured_widths,
)
from samples import frames_with_objects


def conv(attributes: str, shape: str, *weight: int) -> tuple[str, Weights]:
    text = f"(float{shape} x) => (float y) {{ y = Conv <{attributes}> (x, w, b) }}"
    return text, {"w": weight, "b": weight[:1]}


IMAGE = "[1,3,7,9]"
LAYERS: dict[str, tuple[str, Weights]] = {
    "1x1": conv("group=1", IMAGE, 5, 3, 1, 1),
    "3x3": conv("pads=[1,1,1,1]", IMAGE, 5, 3, 3, 3),
    "strides": conv("strides=[2,3]", IMAGE, 5, 3, 3, 3),
    "dilations": conv("dilations=[2,3], pads=[1,1,1,1]", IMAGE, 5, 3, 3, 3),
    "asymmetric pads": conv("pads=[0,1,2,3], strides=[2,2]", IMAGE, 5, 3, 3, 2),
    "same upper": conv('auto_pad="SAME_UPPER", strides=[2,3]', IMAGE, 5, 3, 4, 2),
    "same lower": conv('auto_pad="SAME_LOWER", strides=[2,3]', IMAGE, 5, 3, 4, 2),
    "valid": conv('auto_pad="VALID", strides=[2,1]', IMAGE, 5, 3, 3, 3),
    "1-D": conv("pads=[1,2], strides=[2], dilations=[2]", "[1,3,11]", 5, 3, 3),
    "3-D": conv("strides=[1,2,1], pads=[1,0,1,0,1,1]", "[1,3,4,5,6]", 5, 3, 2, 3, 3),
    "3-D, same": conv('auto_pad="SAME_UPPER", strides=[1,2,1]', "[1,3,4,5,6]", 5, 3, 3, 2, 3),
    "3-D ConvTranspose": (
        """(float[1,3,2,3,4] x) => (float y) {
            y = ConvTranspose <strides = [2,1,3]> (x, w, b) }""",
        {"w": (3, 5, 2, 1, 3), "b": (5,)},
    ),
    "1-D, same": conv('auto_pad="SAME_LOWER", strides=[2]', "[1,3,11]", 5, 3, 4),
    "ConvTranspose": (
        f"(float{IMAGE} x) => (float y) {{ y = ConvTranspose <strides=[2,3]> (x, w, b) }}",
        {"w": (3, 5, 2, 3), "b": (5,)},
    ),
    "ConvTranspose, 1-D": (
        "(float[1,3,7] x) => (float y) { y = ConvTranspose <strides=[2]> (x, w, b) }",
        {"w": (3, 5, 2), "b": (5,)},
    ),
    "Gemm, alpha": (
        "(float[4,6] x) => (float y) { y = Gemm <alpha=0.5> (x, w, b) }",
        {"w": (6, 5), "b": (5,)},
    ),
    "Gemm": ("(float[1,6] x) => (float y) { y = Gemm (x, w, b) }", {"w": (6, 5), "b": (5,)}),
    "Gemm, transposed": (
        "(float[4,6] x) => (float y) { y = Gemm <transB=1> (x, w, b) }",
        {"w": (5, 6), "b": (5,)},
    ),
    "Gemm, beta": (
        "(float[4,6] x) => (float y) { y = Gemm <beta=0.5> (x, w, b) }",
        {"w": (6, 5), "b": (5,)},
    ),
    "Gemm, one bias for all": (
        "(float[4,6] x) => (float y) { y = Gemm <beta=3.0> (x, w, b) }",
        {"w": (6, 5), "b": (1,)},
    ),
    "Gemm, bias of two axes": (
        "(float[4,6] x) => (float y) { y = Gemm (x, w, b) }",
        {"w": (6, 5), "b": (1, 5)},
    ),
    "MatMul": ("(float[2,7,6] x) => (float y) { y = MatMul (x, w) }", {"w": (6, 5)}),
    "no bias": (f"(float{IMAGE} x) => (float y) {{ y = Conv (x, w) }}", {"w": (5, 3, 2, 2)}),
}
NOT_DENSE = {
    "Gemm, transA": ("y = Gemm <transA=1> (x, w, b)", "[6,4]", (6, 5), (5,)),
    "Gemm, a bias for each row": ("y = Gemm (x, w, b)", "[5,6]", (6, 5), (5, 1)),
    "grouped": ("y = Conv <group=3> (x, w, b)", IMAGE, (3, 1, 3, 3), (3,)),
    "overlapping": ("y = ConvTranspose <strides=[1,2]> (x, w, b)", IMAGE, (3, 5, 2, 2), (5,)),
    "ConvTranspose, pads": (
        "y = ConvTranspose <strides=[2,2], pads=[1,0,0,0]> (x, w, b)",
        *(IMAGE, (3, 5, 2, 2), (5,)),
    ),
    "ConvTranspose, dilations": (
        "y = ConvTranspose <strides=[2,2], dilations=[2,2]> (x, w, b)",
        *(IMAGE, (3, 5, 2, 2), (5,)),
    ),
    "ConvTranspose, output_shape": (
        "y = ConvTranspose <strides=[2,2], output_shape=[13,17]> (x, w, b)",
        *(IMAGE, (3, 5, 2, 2), (5,)),
    ),
}


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_is_its_matrix_times_its_patches(name: str) -> None:
    model = with_biases(model_of(*LAYERS[name]))
    graph = Graph(model)
    (layer,) = dense_layers(graph)
    (feeds,) = random_feeds(model, 1)
    (y,) = Session(model).run(feeds)
    weight = graph.weights[layer.weight]
    bias = graph.weights[layer.bias] if layer.bias else np.zeros(1)
    x = feeds["x"]
    at = np.arange(position_count(layer, x, y))[::-1]
    matrix = layer.matrix(weight)
    got = patches(layer.node, x, weight, at) @ matrix.T + np.repeat(bias, len(matrix) // bias.size)
    np.testing.assert_allclose(got, responses(layer, y, weight, at), atol=1e-5)
    assert (layer.weight_like(matrix, weight) == weight).all()


@pytest.mark.parametrize("name", NOT_DENSE)
def test_operators_that_are_no_plain_product_are_left_alone(name: str) -> None:
    node, shape, weight, bias = NOT_DENSE[name]
    model = model_of(f"(float{shape} x) => (float y) {{ {node} }}", {"w": weight, "b": bias})
    same = with_biases(model)
    assert dense_layers(Graph(same)) == []
    (feeds,) = random_feeds(model, 1)
    np.testing.assert_allclose(Session(same).run(feeds)[0], Session(model).run(feeds)[0], rtol=1e-6)


def test_every_layer_gets_a_bias_of_its_own() -> None:
    model = model_of(
        """(float[1,3,8,8] x) => (float[1,6] y) {
            a = Conv (x, w1, b)
            c = Conv (a, w2, b)
            d = Conv (c, w3)
            t = ConvTranspose <group=4> (d, w4)
            e = Add (t, third)
            f = GlobalAveragePool (e)
            g = Flatten (f)
            y = Gemm <beta=2.0> (g, w5, b5) }""",
        {
            **{"w1": (4, 3, 1, 1), "w2": (4, 4, 1, 1), "w3": (4, 4, 1, 1), "w4": (4, 2, 1, 1)},
            **{"b": (4,), "w5": (8, 6), "b5": (1,), "third": (8, 1, 1)},
        },
        prepared=False,
    )
    for tensor in model.graph.initializer:
        if tensor.name == "third":
            tensor.name = "d.bias"  # the name that a new bias would get is taken
    next(n for n in model.graph.node if n.op_type == "Add").input[1] = "d.bias"
    biased = with_biases(model)
    biases = [n.input[2] for n in biased.graph.node if n.op_type in ("Conv", "Gemm")]
    assert len(set(biases)) == 4
    assert len(dense_layers(Graph(biased))) == 4
    (feeds,) = random_feeds(model, 1)
    np.testing.assert_allclose(Session(biased).run(feeds)[0], Session(model).run(feeds)[0], 1e-5)


def correlated(random: np.random.Generator, rows: int, columns: int) -> NDArray[np.float64]:
    return random.standard_normal((rows, columns)) @ random.standard_normal((columns, columns))


def moments_of(x: NDArray[np.float64], y: NDArray[np.float64]) -> Moments:
    moments = Moments(x.shape[1], y.shape[1])
    for start in range(0, len(x), 7):
        moments.add(x[start : start + 7], y[start : start + 7])
    return moments


def test_moments_are_those_of_numpy() -> None:
    random = np.random.default_rng(0)
    x, y = correlated(random, 40, 5) + 3, random.standard_normal((40, 2))
    moments = moments_of(x, y)
    both = np.cov(x.T, y.T, bias=True)
    np.testing.assert_allclose(moments.covariance, both[:5, :5], atol=1e-9)
    np.testing.assert_allclose(moments.cross, both[5:, :5], atol=1e-9)
    kept = np.array([True, False, True, True, False])
    np.testing.assert_allclose(moments.part(kept).covariance, both[:5, :5][np.ix_(kept, kept)])
    np.testing.assert_allclose(moments.part(kept).mean_x, x.mean(axis=0)[kept])


@pytest.mark.parametrize("has_bias", [True, False])
def test_solve_is_least_squares(has_bias: bool) -> None:
    random = np.random.default_rng(0)
    x = correlated(random, 200, 6) + random.standard_normal(6)
    y = x @ random.standard_normal((6, 3)) + 2 + random.standard_normal((200, 3))
    design = np.column_stack([x, np.ones(200)]) if has_bias else x
    exact = np.linalg.lstsq(design, y, rcond=None)[0]
    # close to the answer already, so that the ridge that pulls towards it hardly matters
    start = exact[:6].T + 1e-3
    matrix, bias = solve(moments_of(x, y), start, has_bias=has_bias)
    np.testing.assert_allclose(matrix, exact[:6].T, atol=2e-3)
    np.testing.assert_allclose(bias, exact[6] if has_bias else 0, atol=1e-2)
    residual = np.square(y - x @ matrix.T - bias).sum()
    assert residual <= np.square(y - design @ exact).sum() * (1 + 1e-4)


def brute_force(
    x: NDArray[np.float64], matrix: NDArray[np.float64], taps: int, gone: list[int]
) -> float:
    """Squared error that is left when channels are taken out and the others make up for them."""
    keep = [c for c in range(x.shape[1]) if c // taps not in gone]
    centred = x - x.mean(axis=0)
    y = centred @ matrix.T
    fitted = np.linalg.lstsq(centred[:, keep], y, rcond=None)[0]
    return float(np.square(y - centred[:, keep] @ fitted).sum())


@pytest.mark.parametrize("taps", [1, 3])
@pytest.mark.parametrize("seed", range(5))
def test_the_cheapest_channel_goes_first(
    seed: int, taps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rockpress.prune.search.importance._RIDGE", 1e-9)
    random = np.random.default_rng(seed)
    x = correlated(random, 300, 6 * taps)
    matrix = random.standard_normal((4, 6 * taps))
    reader = Reader(
        matrix, np.cov(x.T, bias=True), [np.arange(c * taps, (c + 1) * taps) for c in range(6)]
    )
    order = removal_order([reader]).tolist()
    gone: list[int] = []
    for channel in order[:-1]:
        left = [c for c in range(6) if c not in gone]
        errors = {c: brute_force(x, matrix, taps, [*gone, c]) for c in left}
        assert channel == min(errors, key=lambda c: errors[c])
        gone.append(channel)
    assert sorted(order) == list(range(6))


def test_the_order_of_removal_counts_all_readers() -> None:
    columns = [np.array([0]), np.array([1])]
    first = Reader(np.array([[1.0, 0.5]]), np.eye(2), columns)
    second = Reader(np.array([[0.1, 5.0]]), np.eye(2), columns)
    assert removal_order([first]).tolist() == [1, 0]
    assert removal_order([first, second]).tolist() == [0, 1]


@settings(max_examples=12)
@given(st.integers(1, 300))
def test_wide_groups_are_ordered_whole(channels: int) -> None:
    columns = [np.array([c]) for c in range(channels)]
    weights = np.arange(channels, 0, -1.0)[None]
    order = removal_order([Reader(weights, np.eye(channels), columns)])
    assert order.tolist() == list(range(channels))[::-1]


def test_positions_depend_on_seed_and_sample_only() -> None:
    first = sampled_positions(5000, 3, 7)
    assert len(set(first.tolist())) == len(first)
    assert first.tolist() == sampled_positions(5000, 3, 7).tolist()
    assert first.tolist() != sampled_positions(5000, 4, 7).tolist()
    assert sampled_positions(5, 0, 0).tolist() == list(range(5))


RESIDUAL = """(float[1,3,8,8] x) => (float[1,4] y) {
    a = Conv <pads=[1,1,1,1]> (x, w1, b1)
    r = Relu (a)
    b = Conv <pads=[1,1,1,1]> (r, w2, b2)
    s = Relu (b)
    c = Conv <pads=[1,1,1,1]> (s, w3, b3)
    d = Add (c, r)
    e = Conv (d, w4, b4)
    f = Add (d, e)
    t = Relu (f)
    p = GlobalAveragePool (t)
    q = Flatten (p)
    y = Gemm <transB=1> (q, w5, b5) }"""
RESIDUAL_WEIGHTS: Weights = {
    **{"w1": (12, 3, 3, 3), "b1": (12,), "w2": (12, 12, 3, 3), "b2": (12,)},
    **{"w3": (12, 12, 3, 3), "b3": (12,), "w4": (12, 12, 1, 1), "b4": (12,)},
    **{"w5": (4, 12), "b5": (4,)},
}
NETS: dict[str, tuple[str, Weights]] = {
    "residual": (RESIDUAL, RESIDUAL_WEIGHTS),
    "plain": (
        """(float[1,3,8,8] x) => (float[1,4,4,4] y) {
            a = Conv <pads=[1,1,1,1], strides=[2,2]> (x, w1, b1)
            r = Relu (a)
            b = Conv <auto_pad="SAME_UPPER"> (r, w2)
            s = Sigmoid (b)
            y = Conv (s, w3, b3) }""",
        {
            **{"w1": (16, 3, 3, 3), "b1": (16,), "w2": (12, 16, 2, 2)},
            **{"w3": (4, 12, 1, 1), "b3": (4,)},
        },
    ),
    "matrix products": (
        """(float[1,7,6] x) => (float[1,7,5] y) {
            a = MatMul (x, w1)
            r = Sigmoid (a)
            c = MatMul (r, w2)
            s = Sigmoid (c)
            y = MatMul (s, w3) }""",
        {"w1": (6, 12), "w2": (12, 10), "w3": (10, 5)},
    ),
    "transposed": (
        """(float[1,3,4,4] x) => (float[1,4,8,8] y) {
            a = Conv (x, w1, b1)
            r = Relu (a)
            t = ConvTranspose <strides=[2,2]> (r, w2)
            s = Sigmoid (t)
            y = Conv (s, w3, b3) }""",
        {"w1": (12, 3, 1, 1), "b1": (12,), "w2": (12, 8, 2, 2), "w3": (4, 8, 1, 1), "b3": (4,)},
    ),
    "shared bias": (
        """(float[1,3,4,4] x) => (float[1,8,4,4] y) {
            a = Conv (x, w1, b1)
            r = Relu (a)
            b = Conv (r, w2, b1)
            s = Relu (b)
            y = Conv (s, w3, b1) }""",
        {"w1": (8, 3, 1, 1), "b1": (8,), "w2": (8, 8, 1, 1), "w3": (8, 8, 1, 1)},
    ),
    "shared weight": (
        """(float[1,3,8,8] x) => (float[1,4,8,8] y) {
            a = Conv (x, w1, b1)
            r = Relu (a)
            b = Conv <pads=[1,1,1,1]> (r, w2, b2)
            s = Relu (b)
            c = Conv <pads=[1,1,1,1]> (s, w2, b3)
            t = Relu (c)
            y = Conv (t, w3) }""",
        {
            **{"w1": (12, 3, 1, 1), "b1": (12,), "w2": (12, 12, 3, 3), "b2": (12,)},
            **{"b3": (12,), "w3": (4, 12, 1, 1)},
        },
    ),
}


def output_error(model: ModelProto, other: ModelProto, samples: Samples) -> float:
    first, second = Session(model), Session(other)
    return float(np.mean([np.mean((first.run(f)[0] - second.run(f)[0]) ** 2) for f in samples]))


@pytest.mark.parametrize("name", NETS)
def test_refitting_mends_what_was_cut(name: str) -> None:
    model = with_biases(model_of(*NETS[name]))
    dependency = build_dependency_graph(Graph(model))
    groups = find_groups(dependency)
    assert groups
    removed = mark_removed(dependency, {g.name: np.arange(g.size // 3) for g in groups}, groups)
    cut = remove_channels(dependency, removed)
    samples = random_feeds(model, 48)
    before = cut.SerializeToString()
    mended = refit(Teacher(model, kept_channels(dependency, removed)), cut, samples, seed=0)
    fresh = random_feeds(model, 16, seed=1)
    assert output_error(model, mended, fresh) < 0.6 * output_error(model, cut, fresh)
    assert cut.SerializeToString() == before
    again = refit(Teacher(model, kept_channels(dependency, removed)), cut, samples, seed=0)
    assert again.SerializeToString() == mended.SerializeToString()


@pytest.mark.parametrize("operator", ["Gemm", "MatMul"])
def test_a_shared_weight_is_refitted_for_all_that_use_it(operator: str) -> None:
    biases = operator == "Gemm"
    model = with_biases(
        model_of(
            f"""(float[1,5] x, float[1,5] z) => (float[1,4] y, float[1,4] v) {{
            a = Gemm <transB=1> (x, w1, b1)
            b = Gemm <transB=1> (z, w1, b2)
            r = Relu (a)
            s = Relu (b)
            y = {operator} (r, w2{", b3" if biases else ""})
            v = {operator} (s, w2{", b4" if biases else ""}) }}""",
            {"w1": (9, 5), "b1": (9,), "b2": (9,), "w2": (9, 4), "b3": (4,), "b4": (4,)},
        )
    )
    dependency = build_dependency_graph(Graph(model))
    (group,) = find_groups(dependency)
    removed = mark_removed(dependency, {group.name: np.arange(4)}, [group])
    cut = remove_channels(dependency, removed)
    samples = random_feeds(model, 30)  # too few to choose a ridge by
    found = Graph(
        refit(Teacher(model, kept_channels(dependency, removed)), cut, samples, seed=0)
    ).weights

    given = Graph(model).weights
    start = given["w2"][4:].astype(np.float64)
    rows, targets = [], []
    for name, bias, out in (("x", "b1", "b3"), ("z", "b2", "b4")):
        x = np.concatenate([one[name] for one in samples]).astype(np.float64)
        inputs = np.maximum(x @ given["w1"].T + given[bias], 0)
        rows.append(inputs[:, 4:])
        targets.append(inputs @ given["w2"] + (given[out] if biases else 0))
    centred = [[one - biases * one.mean(axis=0) for one in part] for part in (rows, targets)]
    x, y = (np.concatenate(part) for part in centred)
    pull = np.sqrt(FEW_RIDGE * (x**2).sum() / 5) * np.eye(5)  # as rows of the system
    wanted = np.linalg.lstsq(np.vstack([x, pull]), np.vstack([y, pull @ start]), rcond=None)[0]
    np.testing.assert_allclose(found["w2"], wanted, rtol=1e-4, atol=1e-5)
    for part, target, name in zip(rows, targets, ("b3", "b4"), strict=True):
        if biases:
            bias = target.mean(axis=0) - part.mean(axis=0) @ wanted
            np.testing.assert_allclose(found[name], bias, rtol=1e-4, atol=1e-5)


def test_scores_are_repaired_where_something_is_found() -> None:
    """The channel that is cut tells nothing but where something is found."""
    model = model_of(
        """(float[1,2,16,16] x) => (float[1,1,16,16] b, float[1,1,16,16] c) {
            f = Conv (x, w) b = Conv (f, v, k) c = Conv (f, t, k) }""",
        {
            "w": np.eye(2).reshape(2, 2, 1, 1),
            "v": np.array([1.0, 0.0]).reshape(1, 2, 1, 1),
            "t": np.array([1, 0.15]).reshape(1, 2, 1, 1),
            "k": np.full(1, -8.0),
        },
    )
    model = with_biases(model)
    dependency = build_dependency_graph(Graph(model))
    (group,) = find_groups(dependency)
    removed = mark_removed(dependency, {group.name: np.array([1])}, [group])
    cut = remove_channels(dependency, removed)
    teacher = Teacher(model, kept_channels(dependency, removed))

    def lost(logits: tuple[str, ...]) -> float:
        """Return by how much logits are too small where the original finds something."""
        repaired = refit(teacher, cut, frames_with_objects(40, 1), seed=0, logits=logits)
        pairs = [
            [Session(each).run(x)[1] for each in (model, repaired)]
            for x in frames_with_objects(40, 2)
        ]
        expected, reached = np.stack(pairs, axis=1)
        return float((expected - reached)[expected > -1].mean())

    assert lost(()) > 0.3 and abs(lost(("c",))) < 0.3 * lost(())


@pytest.mark.parametrize("name", NETS)
def test_a_refit_without_need_changes_nothing(name: str) -> None:
    model = with_biases(model_of(*NETS[name]))
    dependency = build_dependency_graph(Graph(model))
    nothing = dependency.empty_mask()
    same = refit(
        Teacher(model, kept_channels(dependency, nothing)), model, random_feeds(model, 4), seed=0
    )
    assert same.SerializeToString() == model.SerializeToString()


def make_candidates(recover: bool) -> dict[str, dict[int, float]]:
    model = with_biases(model_of(RESIDUAL, RESIDUAL_WEIGHTS))
    dependency = build_dependency_graph(Graph(model))
    samples = random_feeds(model, 32)
    statistics, of_blocks = layer_moments(dependency, samples, 0)
    refitted = (statistics, of_blocks) if recover else ({}, {})
    trials = Trials(dependency, samples, *refitted)
    found = candidates_of(dependency, find_groups(dependency), statistics, trials, step=4)
    return {candidate.group.name: candidate.errors for candidate in found}


def test_candidates_measure_each_group_alone() -> None:
    plain, mended = make_candidates(False), make_candidates(True)
    assert {name: sorted(errors) for name, errors in mended.items()} == {"w1": [4, 8], "w2": [4, 8]}
    for name, errors in mended.items():
        assert 0 < errors[8] < errors[4]
        assert all(error < plain[name][kept] for kept, error in errors.items())


@given(st.integers(1, 2000), st.integers(1, 64))
def test_allowed_widths_are_measured_in_part(size: int, step: int) -> None:
    widths, measured = allowed_widths(size, step), measured_widths(size, step)
    assert len(widths) == (size - 1) // step
    assert all(0 < width < size and width % step == 0 for width in widths)
    assert measured == sorted(set(measured))
    assert set(measured) <= set(widths)
    assert len(measured) <= 5
    assert measured[:1] == widths[:1]
    assert measured[-1:] == widths[-1:]


@given(st.integers(2, 600), st.integers(1, 32), st.data())
def test_errors_between_are_those_measured_and_never_fall(
    size: int, step: int, data: st.DataObject
) -> None:
    measured = {w: data.draw(st.floats(0, 100)) for w in measured_widths(size, step)}
    if not measured:
        return
    errors = errors_between(size, step, measured)
    assert sorted(errors) == allowed_widths(size, step)
    by_cut = [errors[width] for width in sorted(errors, reverse=True)]
    assert by_cut == sorted(by_cut)
    assert max(by_cut) == pytest.approx(max(measured.values()))
    assert by_cut[0] == pytest.approx(measured[max(measured)])


@pytest.mark.parametrize(
    "spoil", [lambda a: a * 0.5, lambda a: a + np.arange(a.shape[-1], dtype=a.dtype)]
)
@pytest.mark.parametrize("shape", [(6, 5), (6, 1), (6, 2, 3)])
def test_divergence_sees_what_changed(
    shape: tuple[int, ...], spoil: Callable[[NDArray[np.generic]], NDArray[np.generic]]
) -> None:
    scores = np.random.default_rng(0).standard_normal(shape).astype(np.float32) + 1
    assert divergence([scores], [scores]) == pytest.approx(0, abs=1e-9)
    if shape != (6, 1) or spoil(scores).tolist() != scores.tolist():
        assert divergence([scores], [spoil(scores)]) > 1e-3


def test_divergence_of_probabilities_is_their_kl() -> None:
    p, q = np.array([[0.5, 0.5]]), np.array([[0.9, 0.1]])
    expected = float((p * np.log(p / q)).sum())
    assert divergence([p], [q]) == pytest.approx(expected)


@pytest.mark.parametrize("kind", [np.uint8, np.bool_, np.int64])
def test_divergence_of_integers_and_truth_values(kind: type[np.generic]) -> None:
    first, second = np.array([0, 1, 1], kind), np.array([1, 0, 1], kind)
    assert divergence([first], [second]) > 0


def test_up_to_keeps_what_a_tensor_needs() -> None:
    model = model_of(RESIDUAL, RESIDUAL_WEIGHTS)
    part = extract_until(model, ["s", "r"])
    assert [node.op_type for node in part.graph.node] == ["Conv", "Relu", "Conv", "Relu"]
    assert {tensor.name for tensor in part.graph.initializer} == {"w1", "b1", "w2", "b2"}
    (feeds,) = random_feeds(model, 1)
    assert [out.shape for out in Session(part).run(feeds)] == [(1, 12, 8, 8)] * 2


def test_up_to_follows_what_a_loop_reads() -> None:
    model = model_of(
        """(float[2] x) => (float[2] y) {
            a = Exp (x)
            n = Constant <value_int=3> ()
            t = Greater (x, x)
            k = Cast <to=9> (n)
            y = Loop (n, k, x) <body = body (int64 i, bool go, float[2] v)
                => (bool on, float[2] w) { on = Identity (go)
                w = Add (v, a) }> }""",
        {},
    )
    (feeds,) = random_feeds(model, 1)
    expected = feeds["x"] + 3 * np.exp(feeds["x"])
    np.testing.assert_allclose(
        Session(extract_until(model, ["y"])).run(feeds)[0], expected, rtol=1e-5
    )


def test_up_to_leaves_the_type_to_the_graph() -> None:
    model = model_of(
        """(float[2] x, float[2] z) => (bool[2] y) {
            a = Greater (x, z)
            b = Less (x, z)
            y = Or (a, b) }""",
        {},
    )
    (feeds,) = random_feeds(model, 1)
    assert Session(extract_until(model, ["a"])).run(feeds)[0].dtype == np.bool_
