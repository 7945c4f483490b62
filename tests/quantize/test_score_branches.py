"""The layers that scores alone come from: what is rarely large there is not cut off."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto

from graphs import Weights, model_of, random_feeds
from rockpress.core.graphs.graph import Graph
from rockpress.core.graphs.score_branches import score_branches, score_layers
from rockpress.core.types import Array
from rockpress.quantize.integer.refitted_integers import refitted_integers
from rockpress.quantize.quantize import quantize
from rockpress.quantize.rendering.plan import Plan
from rockpress.quantize.rendering.rounding import Rounded

SHAPE = "float[1,4,32,32]"
WEIGHTS: Weights = {name: (4, 4, 1, 1) for name in ("w", "v", "u", "t")}
# f is read by boxes and classes; the classes have a layer of their own
HEAD = "f = Conv (x, w) b = Conv (f, v) h = Conv (f, u) r = Relu (h) c = Conv (r, t)"


def net(body: str, *outputs: str) -> ModelProto:
    declared = ", ".join(f"{SHAPE} {name}" for name in outputs)
    return model_of(f"({SHAPE} x) => ({declared}) {{ {body} }}", WEIGHTS)


@pytest.mark.parametrize(
    ("body", "outputs", "expected"),
    [
        (f"{HEAD} s = Sigmoid (c)", "bs", {"h", "r", "c"}),
        (f"{HEAD} s = Sigmoid (c) m = Mul (s, two) d = Relu (b)", "dm", {"h", "r", "c"}),
        (HEAD, "bc", set()),
        # boxes are scores too: nothing is beside them
        (f"{HEAD} s = Sigmoid (c) d = Sigmoid (b)", "ds", set()),
        # a gate, not a score: a layer comes after it
        (f"{HEAD} s = Sigmoid (c) m = Mul (s, f) y = Conv (m, w)", "by", set()),
        (f"{HEAD} s = Sigmoid (c) m = Mul (c, s)", "bm", set()),
    ],
    ids=["beside boxes", "behind it", "raw", "scores alone", "gate", "SiLU"],
)
def test_branches_by_hand(body: str, outputs: str, expected: set[str]) -> None:
    model = model_of(
        f"({SHAPE} x) => ({', '.join(f'{SHAPE} {name}' for name in outputs)}) {{ {body} }}",
        {**WEIGHTS, "two": np.float32(2)},
    )
    assert score_branches(Graph(model), lambda _: True) == expected


def test_a_network_beside_another_is_no_branch() -> None:
    text = f"({SHAPE} x, {SHAPE} z) => ({SHAPE} b, {SHAPE} s)"
    body = "b = Conv (x, v) h = Conv (z, u) r = Relu (h) c = Conv (r, t) s = Sigmoid (c)"
    graph = Graph(model_of(f"{text} {{ {body} }}", WEIGHTS))
    assert score_branches(graph, lambda _: True) == set()


def test_the_host_may_compute_the_scores() -> None:
    graph = Graph(net(HEAD, "b", "c"))
    assert score_branches(graph, lambda _: True, ("c",)) == {"h", "r", "c"}
    assert score_branches(graph, lambda name: name != "c", ("c",)) == set()


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        ("s = Sigmoid (c)", {"c"}),
        ("d = Reshape (c, flat) e = Concat <axis=1> (d, d) s = Sigmoid (e)", {"c"}),
        ("d, e = Split <axis=1> (c) s = Sigmoid (d) z = Sigmoid (e)", {"c"}),
        # the Sigmoid reads other values than the layer gives
        ("d = Mul (c, two) e = Add (c, d) s = Sigmoid (e)", set()),
        ("d = Relu (c) z = Sigmoid (c) s = Sigmoid (d)", set()),
    ],
    ids=["at once", "moved", "in two", "scaled", "cut off"],
)
def test_last_layers_by_hand(end: str, expected: set[str]) -> None:
    text = f"({SHAPE} x) => ({SHAPE} b, {SHAPE} s) {{ {HEAD} {end} }}"
    constants: Weights = {**WEIGHTS, "two": np.float32(2), "flat": np.array([1, 4, -1])}
    graph = Graph(model_of(text, constants))
    assert score_layers(graph) == expected


def test_the_last_layer_may_end_the_model() -> None:
    graph = Graph(net(HEAD, "b", "c"))
    assert score_layers(graph, ("c",)) == {"c"} and score_layers(graph) == set()


def feeds_with_an_object(model: ModelProto) -> list[dict[str, Array]]:
    """Return samples of which one has a single pixel that is several times larger."""
    feeds = random_feeds(model, 12)
    feeds[3]["x"][0, :, 0, 0] *= 12
    return feeds


def plan_of(
    model: ModelProto, folder: Path, logits: tuple[str, ...] = (), method: str = "mse"
) -> Plan:
    paths = folder / "q.onnx", folder / "p.toml"
    return quantize(model, *paths, feeds_with_an_object(model), method=method, logits=logits).plan


def test_what_is_large_where_something_is_found_is_not_cut_off(tmp_path: Path) -> None:
    model = net(HEAD, "b", "c")
    plain = plan_of(model, tmp_path).activations
    plan = plan_of(model, tmp_path, ("c",)).activations
    assert plan["r"].source == "mse, before logits of Sigmoid"
    most = plan_of(model, tmp_path, method="min-max").activations["r"].high
    assert plan["r"].high == pytest.approx(most * 4 / 3) and plain["r"].high < most
    assert plan["f"] == plain["f"] and plan["b"] == plain["b"]


def test_what_ends_by_itself_goes_on_to_its_end_alone(tmp_path: Path) -> None:
    body = HEAD.replace("Relu (h)", "Clip (h, zero, six)")
    text = f"({SHAPE} x) => ({SHAPE} b, {SHAPE} c) {{ {body} }}"
    ends = {"zero": np.float32(0), "six": np.float32(6)}
    plan = plan_of(model_of(text, {**WEIGHTS, **ends}), tmp_path, ("c",)).activations
    assert 4 < plan["r"].high <= 6


def test_inner_layers_of_scores_are_not_refitted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # what stays as it is has GPTQ's own integers: those of the same method without a refit
    model = net(HEAD, "b", "c")
    integers: dict[str, dict[str, Rounded]] = {}

    def noting(*args: Any, **options: Any) -> dict[str, Rounded]:
        integers["others"] = dict(args[3])
        integers["all"] = refitted_integers(*args, **options)
        return integers["all"]

    module = "rockpress.quantize.integer.integer_candidates"
    monkeypatch.setattr(f"{module}.refitted_integers", noting)
    plan_of(model, tmp_path, ("c",), "gptq-refit")
    assert set(integers["others"]) == {"h"} and set(integers["all"]) == set("fbhc")
    assert np.array_equal(integers["all"]["h"].steps, integers["others"]["h"].steps)
    plan_of(model, tmp_path, method="gptq-refit")
    assert integers["others"] == {}
