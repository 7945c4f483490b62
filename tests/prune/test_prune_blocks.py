"""Residual blocks that are left out whole: which ones can be, which ones are, and what is left."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np
import onnx.parser
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import ModelProto

from commands import Run
from graphs import Samples, model_of, random_feeds, random_weights
from pruning import divergence_on, prune
from rockpress.core.errors import OptionError
from rockpress.core.graphs.graph import Graph
from rockpress.core.graphs.layers import macs_of
from rockpress.core.graphs.model import load_model
from rockpress.core.passes.prepare import prepare_model
from rockpress.core.session import Session
from rockpress.prune.channels.blocks import find_blocks
from rockpress.prune.channels.channel_rules import build_dependency_graph
from rockpress.prune.channels.surgery import remove_channels
from rockpress.prune.prune import PruneMethod, Pruner
from rockpress.prune.repair.refit import Teacher
from rockpress.prune.results.budget import Budget, macs_cost
from rockpress.prune.results.prune_result import PruneResult
from rockpress.prune.rounds import prune_in_rounds
from rockpress.prune.search.costs import CostFunction
from samples import save_feeds

SHAPES = {
    **{"w0": (16, 3, 1, 1), "w1": (24, 16, 1, 1), "w2": (16, 24, 1, 1), "w9": (4, 16)},
    **{"w3": (24, 16, 1, 1), "w4": (16, 24, 1, 1), "w5": (16, 16, 1, 1)},
}
HEAD = """p = GlobalAveragePool (t)
    q = Flatten (p)
    y = Gemm <transB=1> (q, w9) }"""
BRANCH = """b = Conv (a, w1)
    c = Relu (b)
    d = Conv (c, w2)"""
# A stem, two blocks that end in a plain sum, and a head.
PLAIN = f"""(float[1,3,6,6] x) => (float[1,4] y) {{
    a = Conv (x, w0)
    {BRANCH}
    e = Add (a, d)
    f = Conv (e, w3)
    g = Relu (f)
    h = Conv (g, w4)
    s = Add (h, e)
    t = Relu (s)
    {HEAD}"""
# As in ResNet: the sum is rectified before the next block begins.
RECTIFIED = f"""(float[1,3,6,6] x) => (float[1,4] y) {{
    i = Conv (x, w0)
    a = Relu (i)
    {BRANCH}
    e = Add (a, d)
    j = Relu (e)
    f = Conv (j, w3)
    g = Relu (f)
    h = Conv (g, w4)
    s = Add (h, j)
    t = Relu (s)
    {HEAD}"""
# The sum is linear in what the stem gives: the stem can do all of it.
LINEAR = f"""(float[1,3,6,6] x) => (float[1,4] y) {{
    a = Conv (x, w0)
    b = Conv (a, w5)
    t = Add (a, b)
    {HEAD}"""


def net(text: str, dead: tuple[str, ...] = ()) -> ModelProto:
    """A prepared model with random weights; those of ``dead`` layers are zero."""
    weights = random_weights(SHAPES)
    return model_of(text, {**weights, **{name: 0 * weights[name] for name in dead}})


def samples(count: int, seed: int = 0) -> Samples:
    return random_feeds({"x": (1, 3, 6, 6)}, count, seed)


def pruned(model: ModelProto, share: float, output: Path, **how: tuple[str, ...]) -> PruneResult:
    budget, method = Budget("macs", share), PruneMethod(**how)  # type: ignore[arg-type]
    return prune(model, output, samples(60), budget, cost=CostFunction(macs_cost, 8), method=method)


def left_out(result: PruneResult) -> set[str]:
    return {block.name for block in result.blocks if block.left_out}


def found_in(text: str) -> list[tuple[str, str]]:
    return [(block.source, block.total) for block in find_blocks(Graph(net(text)))]


def test_blocks_end_in_a_sum() -> None:
    first, second = find_blocks(Graph(net(PLAIN)))
    assert (first.source, first.total, first.inner) == ("a", "e", frozenset("bcd"))
    assert (second.source, second.total, second.inner) == ("e", "s", frozenset("fgh"))
    assert second.name == "block of w4"
    assert [set(names) for names in second.layers] == [{"w3"}, {"w4"}]


def test_sums_rectified_already_are_not_rectified_again() -> None:
    first, second = find_blocks(Graph(net(RECTIFIED)))
    assert (first.source, first.total, first.inner) == ("a", "j", frozenset("bcde"))
    assert (second.source, second.total, second.inner) == ("j", "t", frozenset("fghs"))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(PLAIN.replace("t = Relu (s)", "t = Add (s, a)"), id="read elsewhere"),
        pytest.param(PLAIN.replace("(h, e)", "(h, w5)").replace("(a, d)", "(d, d)"), id="no sum"),
    ],
)
def test_a_block_is_held_by_other_readers_of_its_source(text: str) -> None:
    assert ("a", "e") not in found_in(text)


@pytest.mark.parametrize(
    "text",
    [
        """(float[1,16,6,6] x) => (float[1,16,6,6] y) {
            b = Conv (x, w5)
            y = Add (x, b) }""",
        """(float[1,3,6,6] x) => (float[1,16,6,6] y, float[1,16,6,6] a) {
            a = Conv (x, w0)
            b = Conv (a, w5)
            y = Add (a, b) }""",
        """(float[1,3,6,6] x) => (float[1,16,6,6] y) {
            a = Conv (x, w0)
            b = Sigmoid (a)
            y = Add (a, b) }""",
        """(float[1,3,6,6] x) => (float[1,16,6,6] y) {
            a = Conv (x, w0)
            b = Conv (x, w0)
            y = Add (a, b) }""",
        """(float[1,3,6,6] x) => (float[1,16,6,6] y) {
            a = Conv (x, w0)
            b = GlobalAveragePool (a)
            c = Conv (b, w5)
            d = Add (a, c)
            y = Add (d, b) }""",
    ],
    ids=["an input", "an output", "no layer", "another branch", "read outside"],
)
def test_blocks_that_cannot_be_left_out(text: str) -> None:
    assert found_in(text) == []


def test_a_block_in_a_block() -> None:
    text = f"""(float[1,3,6,6] x) => (float[1,4] y) {{
        a = Conv (x, w0)
        b = Relu (a)
        c = Conv (b, w5)
        d = Conv (c, w1)
        e = Conv (d, w2)
        f = Add (c, e)
        g = Sigmoid (f)
        t = Add (b, g)
        {HEAD}"""
    inner, outer = find_blocks(Graph(net(text)))
    assert (inner.source, inner.total) == ("c", "f")
    assert (outer.source, outer.total) == ("b", "t")
    assert inner.inner < outer.inner


@pytest.mark.parametrize("text", [PLAIN, RECTIFIED], ids=["plain", "rectified"])
@given(dead=st.sets(st.sampled_from([("d", "w2"), ("h", "w4")])))
@settings(max_examples=4, deadline=None)
def test_pruning_without_dead_blocks_changes_nothing(text: str, dead: set[tuple[str, str]]) -> None:
    model = net(text, tuple(weight for _, weight in dead))
    dependency = build_dependency_graph(Graph(model))
    removed = dependency.empty_mask()
    gone = {made for made, _ in dead}
    for root, block in dependency.blocks.items():
        removed[root] = bool(gone & block.inner)
    small = remove_channels(dependency, removed)
    onnx.checker.check_model(small, full_check=True)
    (feeds,) = samples(1)
    np.testing.assert_array_equal(Session(small).run(feeds)[0], Session(model).run(feeds)[0])
    made = {name for node in small.graph.node for name in node.output}
    assert not made & gone
    assert {one.name for one in small.graph.initializer}.isdisjoint(weight for _, weight in dead)


@pytest.mark.parametrize("text", [PLAIN, RECTIFIED], ids=["plain", "rectified"])
def test_a_dead_block_is_left_out(text: str, tmp_path: Path) -> None:
    model = net(text, dead=("w4",))
    result = pruned(model, 0.45, tmp_path / "a")  # more than the dead channels alone can save
    assert left_out(result) == {"block of w4"}
    small = load_model(tmp_path / "a")
    assert macs_of(small) == result.cost_after == result.macs_after
    assert divergence_on(model, samples(40, seed=1))(small) < 1e-6
    block = next(block for block in result.blocks if block.left_out)
    assert block.saved == pytest.approx(1 - result.cost_after / result.cost_before)
    assert block.layers == ("w3", "w4")


def test_the_layer_before_a_block_does_its_work(tmp_path: Path) -> None:
    model = net(LINEAR)
    judge = divergence_on(model, samples(40, seed=1))
    losses = {}
    for recover in ("least-squares", "none"):
        method = PruneMethod(recover=recover, only=("block of *",))
        budget = Budget("macs", 0.5)
        prune(
            model,
            tmp_path / "a",
            samples(60),
            budget,
            cost=CostFunction(macs_cost, 8),
            method=method,
        )
        losses[recover] = judge(load_model(tmp_path / "a"))
    assert 100 * losses["least-squares"] < losses["none"]


@pytest.mark.parametrize(
    ("how", "blocks"),
    [
        ({}, {"block of w2", "block of w4"}),
        ({"keep": ("block of *",)}, set()),
        ({"keep": ("w3",)}, {"block of w2"}),
        ({"only": ("w3", "w4")}, {"block of w4"}),
        ({"only": ("w3",)}, set()),
        ({"only": ("block of w2", "w3")}, {"block of w2"}),
    ],
)
def test_blocks_are_kept_by_name(
    how: dict[str, tuple[str, ...]], blocks: set[str], tmp_path: Path
) -> None:
    result = pruned(net(PLAIN, dead=("w2", "w4")), 0.1, tmp_path / "a", **how)
    assert {block.name for block in result.blocks} == blocks
    assert left_out(result) <= blocks


def test_a_budget_that_no_widths_reach(tmp_path: Path) -> None:
    model = net(PLAIN)
    with pytest.raises(OptionError, match="out of reach"):
        pruned(model, 0.95, tmp_path / "a", keep=("block of *",))
    result = pruned(model, 0.95, tmp_path / "a")
    assert left_out(result) == {"block of w2", "block of w4"}
    assert result.cost_after <= 0.05 * result.cost_before
    assert result.choice is None  # no other plan reaches it


def test_the_plan_that_keeps_all_blocks_is_tried(tmp_path: Path) -> None:
    result = pruned(net(PLAIN, dead=("w4",)), 0.45, tmp_path / "a")
    assert result.choice is not None
    assert 100 * result.choice.values["searched"] < result.choice.values["channels"]


def in_rounds(model: ModelProto, share: float, output: Path, **how: tuple[str, ...]) -> PruneResult:
    method = PruneMethod(**how)  # type: ignore[arg-type]
    make = partial(Pruner, samples=samples(60), cost=CostFunction(macs_cost, 8), method=method)

    def again(smaller: ModelProto, teacher: Teacher, twin: ModelProto | None) -> Pruner:
        return make(prepare_model(smaller), teacher=teacher, twin=twin)

    return prune_in_rounds(make(model), again, Budget("macs", share), 2, output)


def test_blocks_are_left_out_in_rounds_too(tmp_path: Path) -> None:
    result = in_rounds(net(PLAIN, dead=("w4",)), 0.6, tmp_path / "a")
    assert "block of w4" in left_out(result)
    assert [block.name for block in result.blocks] == ["block of w2", "block of w4"]
    small = load_model(tmp_path / "a")
    assert macs_of(small) == result.macs_after <= 0.4 * result.macs_before
    (feeds,) = samples(1)
    assert Session(small).run(feeds)[0].shape == (1, 4)


@pytest.mark.parametrize(
    "how",
    [{"only": ("block of *",)}, {"only": ("block of w4", "w1")}, {"only": ("w3", "w4", "w1")}],
    ids=str,
)
def test_blocks_that_the_first_round_left_out_are_not_asked_for_again(
    how: dict[str, tuple[str, ...]], tmp_path: Path
) -> None:
    result = in_rounds(net(PLAIN, dead=("w4",)), 0.6, tmp_path / "a", **how)
    assert "block of w4" in left_out(result)
    assert macs_of(load_model(tmp_path / "a")) <= 0.4 * result.macs_before


def test_the_command_names_what_it_left_out(tmp_path: Path, rockpress: Run) -> None:
    model, calib, out = tmp_path / "m.onnx", tmp_path / "calib.npz", tmp_path / "s.onnx"
    onnx.save(net(PLAIN, dead=("w4",)), model)
    save_feeds(calib, samples(40))
    line = ["prune", model, "--calib", calib, "-o", out, "--budget", "macs=-45%"]
    code, printed, _ = rockpress(*line)
    assert code == 0
    assert "left out: block of w4 (-48.4%)" in printed
    code, printed, _ = rockpress(*line, "--keep", "block of *", "--json")
    assert code == 0
    assert json.loads(printed)["blocks"] == []
