"""Mixed precision: what is worth float16, within which budget, and what the toolkit makes of it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto

from commands import Run
from graphs import Samples, Weights, model_of, random_feeds
from rockpress.convert.chips.cycles import layer_cycles
from rockpress.convert.chips.targets import find_target
from rockpress.convert.convert import convert
from rockpress.convert.request import ConversionRequest
from rockpress.core.errors import OptionError, SamplesError
from rockpress.core.graphs.graph import Graph
from rockpress.core.graphs.layers import LayerShape
from rockpress.core.graphs.model import load_model, save_model
from rockpress.core.session import Session
from rockpress.pipeline.tasks.plan_handover import ranges_of
from rockpress.quantize.mixing.activation_mix import (
    MixedCycles,
    growing_choices,
    scale_groups,
    sensitivities,
)
from rockpress.quantize.mixing.allowance import Allowance
from rockpress.quantize.mixing.mixed_budget import MixedPrecision, parse_mixed
from rockpress.quantize.quantize import quantize
from rockpress.quantize.rendering.plan import Activation, Plan, read_plan
from rockpress.quantize.rendering.qdq import insert_qdq
from rockpress.quantize.trials.held_out_samples import HeldOut

# one channel in sixteen is 200 times as large as the others, and as much less is made of it
GAIN = np.where(np.arange(16) == 3, 200, 1).astype(np.float32)
NET = """(float[1,3,16,16] x) => (float[1,10] y) {
    a = Conv <pads=[1,1,1,1]> (x, w1, b1)
    r = Relu (a)
    c = Conv <pads=[1,1,1,1]> (r, w2, b2)
    t = Tanh (c)
    o = Mul (t, gain)
    d = Conv <pads=[1,1,1,1]> (o, w3, b3)
    e = Relu (d)
    h = Conv <pads=[1,1,1,1]> (e, w4, b4)
    i = Relu (h)
    m = GlobalAveragePool (i)
    f = Flatten (m)
    y = Gemm <transB=1> (f, w5, b5) }"""
SHAPES = {
    **{"w1": (16, 3, 3, 3), "b1": (16,), "w2": (16, 16, 3, 3), "b2": (16,), "w3": (32, 16, 3, 3)},
    **{"b3": (32,), "w4": (64, 32, 3, 3), "b4": (64,), "w5": (10, 64), "b5": (10,)},
}


def samples(count: int, seed: int, size: int = 16) -> Samples:
    return random_feeds({"x": (1, 3, size, size)}, count, seed)


def on_rk3588(layer: LayerShape, dtype: str) -> float:
    return layer_cycles(layer, find_target("rk3588"), dtype)


@pytest.fixture(scope="module")
def net() -> ModelProto:
    after = (np.random.default_rng(1).standard_normal((32, 16, 3, 3)) / 12).astype(np.float32)
    gain = GAIN[None, :, None, None]
    return model_of(NET, {**SHAPES, "w3": after / gain, "gain": gain})


Make = Callable[..., tuple[Plan, Path]]


@pytest.fixture
def made(net: ModelProto, tmp_path: Path) -> Make:
    def make(
        budget: str | None,
        *,
        held_out: int = 4,
        seconds: float = 300,
        choices: int | None = None,
    ) -> tuple[Plan, Path]:
        mixed = None
        if budget:
            mixed = MixedPrecision(parse_mixed(budget), on_rk3588, seconds, choices=choices)
        path, plan = tmp_path / "q.onnx", tmp_path / "p.toml"
        given = samples(12, 0), samples(held_out, 1)
        result = quantize(net, path, plan, *given, method="min-max", mixed=mixed)
        assert read_plan(plan) == result.plan
        return result.plan, path

    return make


BAD = ["", "8%", "cycles", "cycles=", "cycles=8", "cycles=-8%", "cycles=0%", "cycles=nan%"]
BAD += ["cycles=8%%", "macs=+8%", "sqnr=", "sqnr=25%", "sqnr=25dB", "sqnr=-3", "sqnr=inf"]


@pytest.mark.parametrize("text", BAD)
def test_texts_that_are_no_budget_are_refused(text: str) -> None:
    with pytest.raises(OptionError, match="is no budget for mixed precision") as told:
        parse_mixed(text)
    assert repr(text) in told.value.message
    assert "cycles=+8%" in told.value.hint


def test_the_tensor_of_uneven_range_is_the_most_sensitive(
    net: ModelProto, made: Make, tmp_path: Path
) -> None:
    plan, _ = made(None)
    kept = HeldOut(net, samples(4, 1))
    found = sensitivities(net, plan, kept, Allowance())
    assert max(found, key=lambda name: found[name]) == "o"
    assert set(found) < set(scale_groups(plan))
    assert scale_groups(plan)["m"] == ["m", "f"]
    assert sensitivities(net, plan, kept, Allowance(time.monotonic() - 1)) == {}
    assert sensitivities(net, plan, kept, Allowance(left=1)) == {}
    few = sensitivities(net, plan, kept, Allowance(left=5))
    assert set(few) < set(found)


def test_float16_is_bought_with_cycles(net: ModelProto, made: Make) -> None:
    plan, path = made("cycles=+30%")
    assert "o" in plan.high_precision
    assert max(one.sqnr_db for one in plan.tradeoffs) > plan.tradeoffs[0].sqnr_db + 15
    assert not {"x", "r", "e", "i"} & set(plan.high_precision)
    assert {"w1", "w4"} <= set(plan.weights)
    assert "w3" not in plan.weights
    floating = [*plan.high_precision, "d"]  # which reads "o", so its weight stays in float
    assert ranges_of(plan, net).types == dict.fromkeys(floating, "float16")
    assert not set(ranges_of(plan, net).ranges) & set(plan.high_precision)
    quantizers = [n for n in load_model(path).graph.node if n.op_type == "QuantizeLinear"]
    assert not {n.input[0].removesuffix(".float") for n in quantizers} & set(plan.high_precision)
    # as convert --plan renders it
    again, first = (
        Session(one, optimise=False) for one in (insert_qdq(net, plan), load_model(path))
    )
    (feeds,) = samples(1, 7)
    np.testing.assert_array_equal(again.run(feeds)[0], first.run(feeds)[0])


@pytest.mark.parametrize("percent", [1, 10, 30, 60])
def test_no_choice_exceeds_the_budget(net: ModelProto, made: Make, percent: int) -> None:
    plan, _ = made(f"cycles=+{percent}%")
    costs = MixedCycles(Graph(net), on_rk3588)
    assert plan.tradeoffs[0].floating == ()
    for one in plan.tradeoffs:
        assert one.cycles_ratio is not None
        assert one.cycles_ratio == pytest.approx(1 + costs.over_int8(one.floating))
        assert one.cycles_ratio <= 1 + percent / 100
    best = max(plan.tradeoffs, key=lambda one: one.sqnr_db)
    assert set(plan.high_precision) == set(best.floating)
    assert ("o" in plan.high_precision) == (percent > 20)


def test_costs_are_those_of_the_layers_that_become_float(net: ModelProto) -> None:
    costs = MixedCycles(Graph(net), lambda layer, dtype: 1 if dtype == "int8" else 3)
    # five layers, of which a tensor touches one, two or none
    found = [costs.over_int8(names) for names in ((), ("o",), ("r",), ("t",))]
    assert found == pytest.approx([0, 2 / 5, 4 / 5, 0])


def test_the_search_stops_where_the_accuracy_is_reached_or_near(made: Make) -> None:
    enough, plan, best = (made(f"sqnr={db}")[0] for db in (10, 35, 900))
    assert (len(enough.tradeoffs), enough.high_precision) == (1, ())
    assert [one.sqnr_db >= 35 for one in plan.tradeoffs].index(True) == len(plan.tradeoffs) - 1
    assert "o" in plan.high_precision
    most = max(best.tradeoffs, key=lambda one: one.sqnr_db)
    assert 35 < most.sqnr_db < 900
    assert set(best.high_precision) == set(most.floating)


def test_mixing_without_time_stays_int8_and_without_samples_fails(made: Make) -> None:
    plan, _ = made("cycles=+100%", seconds=0)
    assert (len(plan.tradeoffs), plan.high_precision) == (1, ())
    with pytest.raises(SamplesError, match="too few calibration samples"):
        made("cycles=+8%", held_out=0)


@pytest.mark.parametrize("choices", [1, 2])
def test_counts_end_a_search_where_they_do_on_a_slow_machine(
    choices: int, made: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, _ = made("cycles=+100%", seconds=math.inf, choices=choices)
    hours = iter(range(0, 10**9, 3600))
    monkeypatch.setattr("rockpress.quantize.mixing.allowance.time.monotonic", lambda: next(hours))
    assert made("cycles=+100%", seconds=math.inf, choices=choices)[0] == plan
    assert len(plan.tradeoffs) <= 1 + choices
    assert len(made("cycles=+100%")[0].tradeoffs) == 1  # the clock has ended it at once


MOVED = """(float[1,3,8,8] x) => (float[1,10] y) {
    a = Conv (x, w1, b1)
    r = Relu (a)
    m = GlobalAveragePool (r)
    t = Tanh (m)
    o = Mul (t, gain)
    f = Flatten (o)
    u = Gemm <transB=1> (f, w2, b2)
    v = Relu (u)
    y = Gemm <transB=1> (v, w3, b3) }"""


def test_tensors_that_are_only_moved_have_the_type_of_their_source(tmp_path: Path) -> None:
    few = np.random.default_rng(1).standard_normal((12, 16)).astype(np.float32) / 4
    weights = {"w1": (16, 3, 3, 3), "b1": (16,), "b2": (12,), "w3": (10, 12), "b3": (10,)}
    model = model_of(MOVED, {**weights, "w2": few / GAIN, "gain": GAIN[None, :, None, None]})

    def cost(layer: LayerShape, dtype: str) -> float:  # only the first Gemm may become float
        return 1 if dtype == "int8" or (layer.cin, layer.cout) == (16, 12) else 1000

    given = samples(12, 0, 8), samples(4, 1, 8)
    paths = tmp_path / "q.onnx", tmp_path / "p.toml"
    mixed = MixedPrecision(parse_mixed("cycles=+8%"), cost)
    plan = quantize(model, *paths, *given, method="min-max", mixed=mixed).plan
    assert {"o", "f"} <= set(plan.high_precision)
    assert set(plan.weights) == {"w1", "w3"}
    assert len(insert_qdq(model, plan).graph.node) == len(load_model(paths[0]).graph.node)


def test_dear_tensors_do_not_hide_cheap_ones() -> None:
    """However many of the most sensitive tensors are beyond the budget, others are looked at."""
    body = "".join(f"t{i + 1} = Conv (t{i}, w{i})\n" for i in range(14))
    text = f"(float[1,8,4,4] t0) => (float[1,8,4,4] t14) {{ {body} }}"
    graph = Graph(model_of(text, {f"w{i}": (8, 8, 1, 1) for i in range(14)}))
    one = Activation("int8", -1, 1, 1 / 127, 0, "min-max")
    plan = Plan("w8a8", 1, {f"t{i}": one for i in range(15)}, {}, {})
    noise = {name: 1.0 + (name != "t14") for name in plan.activations}

    last = graph.producers["t14"].name or "t14"

    def cost(layer: LayerShape, dtype: str) -> float:  # the last layer alone is cheap in float
        return 1 if dtype == "int8" or layer.name == last else 1000

    mixed = MixedPrecision(parse_mixed("cycles=+50%"), cost)
    _, only = growing_choices(graph, plan, noise, mixed)
    assert (only.floating, only.cycles_ratio) == (("t14",), 1.0)


INVERTED = """(float[1,3,8,8] x) => (float[1,10] y) {
    s = Conv <pads=[1,1,1,1]> (x, w1)
    a = Clip (s, zero, six)
    e = Conv (a, w2)
    wide = Clip (e, zero, six)
    d = Conv <group=16, pads=[1,1,1,1]> (wide, w3)
    g = Clip (d, zero, six)
    p = Conv (g, w4)
    sum = Add (p, a)
    m = GlobalAveragePool (sum)
    f = Flatten (m)
    y = Gemm <transB=1> (f, w5) }"""
INVERTED_WEIGHTS: Weights = {
    **{"w1": (8, 3, 3, 3), "w2": (16, 8, 1, 1), "w3": (16, 1, 3, 3), "w4": (8, 16, 1, 1)},
    **{"w5": (10, 8), "zero": np.array(0, np.float32), "six": np.array(6, np.float32)},
}


def test_a_residual_block_that_is_partly_float_is_built(tmp_path: Path) -> None:
    """The compiler crashes on this at any level, unless it keeps its conversions (2.5.0)."""
    model = model_of(INVERTED, INVERTED_WEIGHTS)
    few = samples(6, 0, 8)
    plan = quantize(model, tmp_path / "i.onnx", tmp_path / "p", few, method="min-max").plan
    plan.activations["wide"] = replace(plan.activations["wide"], dtype="float16")
    save_model(model, tmp_path / "f.onnx")
    save_model(insert_qdq(model, plan), tmp_path / "q.onnx")
    source, floats, ranges = tmp_path / "q.onnx", tmp_path / "f.onnx", ranges_of(plan, model)
    made = convert(
        ConversionRequest(source, None, "rk3588", calibration=few, float_model=floats, plan=ranges)
    )
    assert (made.closeness.intended_db or 0) > 30
    assert (made.closeness.float_db or 0) > 40
    if made.toolkit == "2.5.0":
        (warning,) = made.warnings
        assert "crashed (SIGSEGV)" in warning.text
        assert (made.quantization, made.level) == ("qdq", 3)
        assert made.disabled == ("remove_dataconvert_for_q_op",)


MIXED = ["--mixed", "cycles=+8%"]
REFUSED = [
    ("run", [*MIXED, "--quantize", "off"], "--mixed is for w8a8 and w4a16, not for float16"),
    ("run", [*MIXED, "--target", "rv1106b"], "rv1106b has neither float16 nor int16 to mix"),
    ("quantize", [*MIXED, "--target", "rv1103b"], "rv1103b has neither float16 nor int16 to mix"),
    ("quantize", ["--mixed", "8%"], "'8%' is no budget for mixed precision"),
]


@pytest.mark.parametrize(("command", "options", "told"), REFUSED)
def test_impossible_mixes_are_refused_in_one_line(
    command: str,
    options: list[str],
    told: str,
    small_cnn: Path,
    image_folder: Path,
    rockpress: Run,
) -> None:
    output = small_cnn.with_name("out" if command == "run" else "out.onnx")
    words = [command, small_cnn, "--calib", image_folder, "-o", output, *options]
    code, out, err = rockpress(*words)
    lines = [line for line in err.splitlines() if not line.startswith("rockpress: ")]
    assert (code, out, output.exists()) == (2, "", False)
    assert [line.split(":")[0] for line in lines] == ["error", "hint"]
    assert told in lines[0]
