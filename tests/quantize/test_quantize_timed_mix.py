"""Mixed precision by time: stretches, their prices, and that only what a build takes counts."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
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
from rockpress.convert.latency.coefficients import coefficients_of
from rockpress.convert.latency.estimate import conversion_ms, layer_ms
from rockpress.convert.request import ConversionRequest, ToolkitSettings
from rockpress.core.graphs.graph import Graph
from rockpress.core.graphs.layers import LayerShape
from rockpress.core.graphs.model import is_qdq
from rockpress.pipeline.tasks.npu_time import npu_time
from rockpress.quantize.mixing.float_regions import RegionPrices, fused_blocks, regions_of
from rockpress.quantize.mixing.mixed_budget import MixedPrecision, NpuTime, parse_mixed
from rockpress.quantize.quantize import quantize
from rockpress.quantize.rendering.plan import Plan, Tradeoff, read_plan

GAIN = np.where(np.arange(16) == 3, 200, 1).astype(np.float32)
# the first tensors are uneven: one channel is 200 times as large, and as much less is made of it
NET = """(float[1,3,16,16] x) => (float[1,10] y) {
    a = Conv <pads=[1,1,1,1]> (x, w1)
    s = Sigmoid (a)
    o = Mul (a, s)
    p = Mul (o, gain)
    d = Conv <pads=[1,1,1,1]> (p, w2)
    e = Relu (d)
    h = Conv <pads=[1,1,1,1]> (e, w3)
    i = Relu (h)
    m = GlobalAveragePool (i)
    f = Flatten (m)
    y = Gemm <transB=1> (f, w4) }"""
RK3588 = find_target("rk3588")


def net_of(size: int = 16, width: int = 64) -> ModelProto:
    after = (np.random.default_rng(1).standard_normal((32, 16, 3, 3)) / 12).astype(np.float32)
    gain = GAIN[None, :, None, None]
    weights: Weights = {"w1": (16, 3, 3, 3), "w3": (width, 32, 3, 3), "w4": (10, width)}
    text = NET.replace("16,16", f"{size},{size}")
    return model_of(text, {**weights, "w2": after / gain, "gain": gain})


@pytest.fixture(scope="module")
def net() -> ModelProto:
    return net_of()


def samples(count: int, seed: int, size: int = 16) -> Samples:
    return random_feeds({"x": (1, 3, size, size)}, count, seed)


def by_number(built: Callable[[ModelProto], float | None]) -> NpuTime:
    """Every layer takes 1 ms, 2 in 16 bits, and every conversion 0.25."""
    return NpuTime(built, lambda layer, dtype: 1.0 + (dtype != "int8"), lambda shape: 0.25)


def quantizers(model: ModelProto) -> set[str]:
    nodes = model.graph.node
    return {node.name.removesuffix(".Q") for node in nodes if node.op_type == "QuantizeLinear"}


@pytest.fixture
def mixed_plan(net: ModelProto, tmp_path: Path) -> Callable[..., Plan]:
    def mix(
        budget: str,
        time: NpuTime,
        seconds: float = 300,
        model: ModelProto = net,
        below_db: float | None = None,
        counted: str = "",
        choices: int | None = None,
    ) -> Plan:
        def cost(layer: LayerShape, dtype: str) -> float:
            return layer_cycles(layer, RK3588, dtype)

        instead = parse_mixed(counted) if counted else None
        mixed = MixedPrecision(
            parse_mixed(budget),
            cost,
            seconds,
            below_db,
            time=time,
            counted=instead,
            choices=choices,
        )
        size = Graph(model).shapes["x"][-1]
        given = samples(12, 0, size), samples(4, 1, size)
        paths = tmp_path / "q.onnx", tmp_path / "p.toml"
        result = quantize(model, *paths, *given, method="min-max", mixed=mixed)
        assert read_plan(paths[1]) == result.plan
        return result.plan

    return mix


def test_a_layer_and_its_activation_are_never_torn_apart(net: ModelProto) -> None:
    blocks = fused_blocks(Graph(net), by_number(lambda model: None))
    types = [tuple(node.op_type for node in block.nodes) for block in blocks]
    assert types[:3] == [("Conv", "Sigmoid", "Mul", "Mul"), ("Conv", "Relu"), ("Conv", "Relu")]
    assert (blocks[0].reads, blocks[0].writes) == (("x",), ("p",))
    assert blocks[0].inner == ("a", "o", "s")
    assert [block.extra_ms for block in blocks[:3]] == [1, 1, 1]


def test_a_stretch_has_the_tensors_inside_it_but_not_those_at_its_borders(net: ModelProto) -> None:
    graph = Graph(net)
    blocks = fused_blocks(graph, by_number(lambda model: None))
    groups = {name: [name] for name in ("x", "a", "s", "o", "p", "e", "i", "y")}
    regions = set(regions_of(graph, blocks, groups | {"m": ["m", "f"]}))
    assert ("x", "a", "s", "o") in regions
    assert ("x", "a", "s", "o", "p") in regions
    assert ("e",) in regions
    assert not any("m" in region and "f" not in region for region in regions)


def test_a_price_is_layers_in_16_bits_and_conversions_at_borders(net: ModelProto) -> None:
    graph, time = Graph(net), by_number(lambda model: None)
    prices = RegionPrices(graph, fused_blocks(graph, time), time)
    # the first layer alone: one more ms, and what it makes is converted
    assert prices.ms(["x", "a", "s", "o"]) == pytest.approx(1.25)
    # two layers, and their one border, behind which the Relu is on its own
    assert prices.ms(["x", "a", "s", "o", "p"]) == pytest.approx(2 + 0.25 * 1.5)
    # in the middle both borders are converted
    assert prices.ms(["e"]) == pytest.approx(2 + 0.25 + 0.25 * 1.5)
    assert prices.ms([]) == 0


def test_only_what_a_build_takes_counts(mixed_plan: Callable[..., Plan]) -> None:
    """Prices say that it takes 2 ms more to leave p in 16 bits; the build takes 0.1 more."""
    whole: list[set[str]] = []

    def built(model: ModelProto) -> float:
        if not is_qdq(model):
            return 20.0
        whole.append(quantizers(model))
        return 10.0 if whole[-1] == whole[0] else 15.0 if "p" in whole[-1] else 10.1

    plan = mixed_plan("latency=+5%", by_number(built))
    assert "p" in plan.high_precision
    assert plan.tradeoffs[0] == Tradeoff((), plan.tradeoffs[0].sqnr_db, ms=10.0, latency_ratio=1.0)
    assert {(one.ms, one.latency_ratio) for one in plan.tradeoffs[1:]} == {(10.1, 1.01)}
    assert all("p" in one.floating for one in plan.tradeoffs[1:])


def test_nothing_slower_than_float16_is_chosen(mixed_plan: Callable[..., Plan]) -> None:
    for budget in ("latency=+50%", "sqnr=90"):
        first: list[set[str]] = []

        def built(model: ModelProto, first: list[set[str]] = first) -> float:
            if not is_qdq(model):
                return 10.5
            first.append(quantizers(model))
            return 10.0 if first[-1] == first[0] else 11.0

        plan = mixed_plan(budget, by_number(built))
        assert plan.high_precision == ()
        assert [one.floating for one in plan.tradeoffs] == [()]


def test_a_rescue_may_take_up_to_float16_where_its_budget_brings_too_little(
    mixed_plan: Callable[..., Plan], net: ModelProto
) -> None:
    first: list[set[str]] = []

    def built(model: ModelProto) -> float:
        if not is_qdq(model):
            return 20.0
        first.append(quantizers(model))
        return 10.0 if first[-1] == first[0] else 15.0

    plain = mixed_plan("latency=+5%", by_number(built))
    assert plain.high_precision == ()
    first.clear()
    least = plain.tradeoffs[0].sqnr_db + 1
    rescued = mixed_plan("latency=+5%", by_number(built), below_db=least)
    assert rescued.high_precision and {one.ms for one in rescued.tradeoffs[1:]} == {15.0}
    assert rescued.tradeoffs[-1].sqnr_db >= least
    first.clear()
    enough = mixed_plan("latency=+60%", by_number(built), below_db=least)
    assert enough.tradeoffs[-1].sqnr_db >= least  # which the budget alone has brought


def test_what_cannot_be_built_is_no_choice(mixed_plan: Callable[..., Plan]) -> None:
    def built(model: ModelProto) -> float | None:  # without p in int8 the toolkit refuses it
        return 1.0 if not is_qdq(model) or "p" in quantizers(model) else None

    plan = mixed_plan("latency=+50%", by_number(built))
    assert "p" not in plan.high_precision
    nothing = mixed_plan("latency=+50%", by_number(lambda model: None))
    assert [(one.floating, one.ms) for one in nothing.tradeoffs] == [((), None)]


def test_cycles_count_where_the_toolkit_builds_nothing(mixed_plan: Callable[..., Plan]) -> None:
    """A vision transformer is built another way then, which takes the types as well."""
    plan = mixed_plan("latency=+10%", by_number(lambda model: None), counted="cycles=+30%")
    assert plan.high_precision
    assert all(each.cycles_ratio is not None for each in plan.tradeoffs)
    assert max(each.sqnr_db for each in plan.tradeoffs) > plan.tradeoffs[0].sqnr_db + 5


def test_the_search_ends_in_time_and_where_it_is_good_enough(
    mixed_plan: Callable[..., Plan],
) -> None:
    cheap = by_number(lambda model: 1.0)
    assert len(mixed_plan("latency=+50%", cheap, seconds=0).tradeoffs) == 1
    best = max(one.sqnr_db for one in mixed_plan("latency=+50%", cheap).tradeoffs)
    enough = mixed_plan(f"sqnr={best - 5:.1f}", cheap)
    reached = [one for one in enough.tradeoffs if one.sqnr_db >= best - 5]
    assert set(enough.high_precision) in [set(one.floating) for one in reached]


@pytest.mark.parametrize("choices", [1, 3])
def test_no_more_choices_are_built_than_are_allowed(
    choices: int, mixed_plan: Callable[..., Plan]
) -> None:
    built: list[ModelProto] = []

    def one_ms(model: ModelProto) -> float:
        built.append(model)
        return 1.0

    mixed_plan("latency=+50%", by_number(one_ms), seconds=math.inf, choices=choices)
    assert len(built) == 2 + choices  # in int8 and in float16 first


@pytest.mark.toolkit
def test_the_time_of_a_choice_is_that_of_its_conversion(
    mixed_plan: Callable[..., Plan], tmp_path: Path
) -> None:
    large = net_of(size=64, width=512)
    with npu_time(RK3588, ToolkitSettings()) as time:
        plan = mixed_plan("latency=+60%", time, model=large)
        float16 = time.built(large)
    assert plan.tradeoffs[0].sqnr_db + 6 < max(one.sqnr_db for one in plan.tradeoffs)
    chosen = next(one for one in plan.tradeoffs if set(one.floating) == set(plan.high_precision))
    made = convert(ConversionRequest(tmp_path / "q.onnx", None, "rk3588", probe=False))
    assert made.latency is not None
    assert made.latency.ms == pytest.approx(chosen.ms)
    assert float16 is not None
    assert all(one.ms is not None and one.ms < float16 for one in plan.tradeoffs[1:])


def test_a_conversion_is_charged_what_it_moves() -> None:
    small, large = (conversion_ms((1, 16, side, side), RK3588) for side in (14, 112))
    coefficients = coefficients_of(RK3588)
    assert coefficients is not None
    launch = coefficients.launch
    assert large - launch == pytest.approx(64 * (small - launch))
    with pytest.raises(ValueError, match="rv1106 has no latency fit"):
        conversion_ms((1, 16, 8, 8), find_target("rv1106"))
    shape = LayerShape("c", "conv", 64, 64, 3, 3, 1, 28, 28, 28, 28)
    assert layer_ms(shape, RK3588, "float16") > layer_ms(shape, RK3588)


REFUSED = [
    (["--target", "rv1106"], "no latency in milliseconds for rv1106", "cycles=+8%"),
    (["--target", "rk3576", "--scheme", "w4a16"], "is for w8a8: beside weights of 4 bits", "size"),
]


@pytest.mark.parametrize(("options", "told", "hint"), REFUSED)
def test_a_budget_in_time_is_refused_by_name_where_there_is_none(
    options: list[str], told: str, hint: str, small_cnn: Path, image_folder: Path, rockpress: Run
) -> None:
    output = small_cnn.with_name("out.onnx")
    words = ["quantize", small_cnn, "--calib", image_folder, "-o", output]
    code, _, err = rockpress(*words, *options, "--mixed", "latency=+8%")
    assert (code, output.exists()) == (2, False)
    assert told in err
    assert hint in err


@pytest.mark.parametrize(("extra", "tried"), [(0.0, True), (100.0, False)])
def test_what_is_predicted_to_be_too_slow_is_not_built(
    mixed_plan: Callable[..., Plan], extra: float, tried: bool
) -> None:
    built: list[int] = []

    def count(model: ModelProto) -> float:
        built.append(len(quantizers(model)))
        return 20.0 if built[-1] == 0 else 10.0 + 0.01 * len(built)

    def predicted(graph: Graph, wide: Collection[str]) -> float:
        return 10.0 + extra * bool(wide)

    plan = mixed_plan("latency=+20%", replace(by_number(count), predicted=predicted))
    assert (len(built) > 2) is tried
    assert (len(plan.tradeoffs) > 1) is tried
