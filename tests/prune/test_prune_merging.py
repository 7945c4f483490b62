"""Two convolutions as one where that is cheaper: the same outputs, and what may not be merged."""

from __future__ import annotations

import json
from math import ceil
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto

from commands import Run
from graphs import Samples, model_of, random_feeds, random_weights
from pruning import prune
from rockpress.core.graphs.graph import Graph
from rockpress.core.graphs.layers import LayerShape
from rockpress.core.graphs.model import load_model
from rockpress.core.session import Session
from rockpress.prune.channels.merging import mergeable_pairs, merged
from rockpress.prune.prune import PruneMethod
from rockpress.prune.results.budget import Budget
from rockpress.prune.results.prune_result import PruneResult
from rockpress.prune.search.costs import CostFunction
from samples import save_feeds

SIZES = {
    **{"w1": (32, 3, 3, 3), "b1": (32,), "w2": (16, 32, 1, 1), "b2": (16,)},
    **{"w3": (64, 16, 1, 1), "b3": (64,), "w4": (5, 64, 1, 1), "b4": (5,)},
}
FIRST, SECOND = "b = Conv (r, w2, b2)", "c = Conv (b, w3, b3)"
NETWORK = f"""(float[1,3,9,9] x) => (float[1,5,5,5] y) {{
    a = Conv <strides=[2,2], pads=[1,1,1,1]> (x, w1, b1)
    r = Relu (a)
    {FIRST}
    {SECOND}
    s = Relu (c)
    y = Conv (s, w4, b4) }}"""


def blocks_of_outputs(layer: LayerShape) -> float:
    """Cost as on a chip: whole blocks of 32 outputs, and inputs for nothing."""
    return layer.out_h * layer.out_w * ceil(layer.cout / 32)


def network(text: str = NETWORK, **sizes: tuple[int, ...]) -> ModelProto:
    return model_of(text, random_weights({**SIZES, **sizes}, scale=0.2))


def samples_of(count: int) -> Samples:
    return random_feeds({"x": (1, 3, 9, 9)}, count)


def pairs(model: ModelProto, *keep: str) -> list[tuple[str, str]]:
    layers = mergeable_pairs(Graph(model), blocks_of_outputs, keep)
    return [(first.weight, second.weight) for first, second in layers]


def pruned(output: Path, share: float, **globs: tuple[str, ...]) -> PruneResult:
    cost, method = CostFunction(blocks_of_outputs, 32), PruneMethod(**globs)  # type: ignore[arg-type]
    return prune(
        network(), output, samples_of(24), Budget("cycles", share), cost=cost, method=method
    )


@pytest.mark.parametrize(
    "text",
    [
        NETWORK,
        NETWORK.replace("strides=[2,2], pads=[1,1,1,1]> (x, w1, b1)", "pads=[0,1,1,0]> (x, w1, b1)")
        .replace("r = Relu (a)", "r = MaxPool <kernel_shape=[2,2], strides=[2,2]> (a)")
        .replace("float[1,5,5,5]", "float[1,5,4,4]"),
    ],
)
def test_both_as_one_give_the_same(text: str) -> None:
    model = network(text)
    graph = Graph(model)
    layer_pairs = mergeable_pairs(graph, blocks_of_outputs)
    small = merged(model, layer_pairs)
    assert len(small.graph.node) == len(model.graph.node) - 1
    assert {"w2", "b2"}.isdisjoint(Graph(small).weights)
    assert Graph(small).weights["w3"].shape == (64, 32, 1, 1)
    before, after = (Session(each).stacked(samples_of(4))[0] for each in (model, small))
    np.testing.assert_allclose(after, before, atol=1e-5)


def test_the_window_is_that_of_the_first() -> None:
    model = network(NETWORK.replace("r = Relu (a)", "r = Identity (a)").replace("(r, w2", "(a, w2"))
    layer_pairs = mergeable_pairs(Graph(model), blocks_of_outputs)
    assert [(first.weight, second.weight) for first, second in layer_pairs] == [("w1", "w2")]
    before, after = (
        Session(each).stacked(samples_of(4))[0] for each in (model, merged(model, layer_pairs))
    )
    np.testing.assert_allclose(after, before, atol=1e-5)


@pytest.mark.parametrize(
    ("text", "sizes"),
    [
        pytest.param(NETWORK.replace(SECOND, "q = Relu (b)\nc = Conv (q, w3, b3)"), {}, id="act"),
        pytest.param(
            NETWORK.replace("(float[1,5,5,5] y)", "(float[1,5,5,5] y, float[1,16,5,5] b)"),
            {},
            id="output",
        ),
        pytest.param(
            NETWORK.replace("s = Relu (c)", "d = Conv (b, w3, b5)\ns = Add (c, d)"),
            {"b5": (64,)},
            id="two readers",
        ),
        pytest.param(
            NETWORK.replace(SECOND, "c = Conv <pads=[1,1,1,1]> (b, w3, b3)"),
            {"w3": (64, 16, 3, 3)},
            id="window",
        ),
        pytest.param(
            NETWORK.replace(SECOND, "c = Conv <strides=[2,2]> (b, w3, b3)").replace(
                "float[1,5,5,5]", "float[1,5,3,3]"
            ),
            {},
            id="stride",
        ),
        pytest.param(
            NETWORK.replace(SECOND, "c = Conv <pads=[1,1,1,1]> (b, w3, b3)").replace(
                "float[1,5,5,5]", "float[1,5,7,7]"
            ),
            {},
            id="border",
        ),
    ],
)
def test_what_does_more_than_a_product_is_left(
    text: str, sizes: dict[str, tuple[int, ...]]
) -> None:
    assert pairs(network(text, **sizes)) == []


def test_only_what_is_cheaper_is_merged() -> None:
    model = network()
    assert pairs(model) == [("w2", "w3")]
    assert pairs(model, "w2") == pairs(model, "w3") == []
    assert mergeable_pairs(Graph(model), lambda layer: layer.macs) == []


def test_a_layer_is_merged_once() -> None:
    model = network(
        NETWORK.replace("s = Relu (c)", "s = Conv (c, w5, b5)"), w5=(64, 64, 1, 1), b5=(64,)
    )
    assert pairs(model) == [("w2", "w3"), ("w5", "w4")]


def test_where_nothing_else_can_be_cut_the_two_stay(tmp_path: Path) -> None:
    model = model_of(
        "(float[1,3,9,9] x) => (y) { a = Conv (x, w1, b1) y = Conv (a, w2, b2) }",
        random_weights({"w1": (64, 3, 1, 1), "b1": (64,), "w2": (32, 64, 1, 1), "b2": (32,)}),
    )
    assert mergeable_pairs(Graph(model), blocks_of_outputs)
    cost = CostFunction(blocks_of_outputs, 32)
    output = tmp_path / "pruned.onnx"
    result = prune(model, output, samples_of(24), Budget("cycles", 0.3), cost=cost)
    assert result.merged == ()
    assert Graph(load_model(output)).weights["w1"].shape[0] == 32


def test_the_budget_is_of_the_model_before(tmp_path: Path) -> None:
    result = pruned(tmp_path / "a", 0.15)  # 25 pixels times 1 + 1 + 2 + 1 blocks
    assert (result.cost_before, result.cost_after, len(result.merged)) == (125, 100, 1)
    assert all(group.after == group.before for group in result.groups)
    before, after = (
        Session(each).stacked(samples_of(4))[0] for each in (network(), load_model(result.path))
    )
    np.testing.assert_allclose(after, before, atol=1e-5)
    further = pruned(tmp_path / "b", 0.3)
    assert further.cost_after == 75
    assert [group.after for group in further.groups if group.name == "w3"] == [32]


@pytest.mark.parametrize("globs", [{"keep": ("w2",)}, {"only": ("w3",)}])
def test_layers_of_globs_are_not_merged(globs: dict[str, tuple[str, ...]], tmp_path: Path) -> None:
    result = pruned(tmp_path / "a", 0.15, **globs)
    assert result.merged == ()
    assert result.cost_after == 100
    assert "w2" in Graph(load_model(result.path)).weights


def test_the_command_names_what_it_merged(tmp_path: Path, rockpress: Run) -> None:
    model, calib = tmp_path / "m.onnx", tmp_path / "calib.npz"
    onnx.save(network(), model)
    save_feeds(calib, samples_of(16))
    line = ["prune", model, "--calib", calib, "-o", tmp_path / "s.onnx", "--budget", "cycles=-10%"]
    code, printed, _ = rockpress(*line)
    assert code == 0
    assert "one with the layer after it, which is cheaper: w2" in printed
    code, printed, _ = rockpress(*line, "--keep", "w2", "--json")
    assert code == 0
    assert json.loads(printed)["merged"] == []
