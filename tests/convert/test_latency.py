"""The latency estimate: sums done by hand, its form, and what holds for every chip."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rockpress.convert.chips.compiler_log import Layer
from rockpress.convert.chips.targets import TARGETS, Target, find_target
from rockpress.convert.latency.bands import band_of, ratio_band
from rockpress.convert.latency.coefficients import FITTED, Coefficients, coefficients_of, is_fitted
from rockpress.convert.latency.estimate import TAIL, estimate, layer_costs
from rockpress.convert.latency.work import Work, works_of

SHAPE = (1, 128, 125, 125)  # two million elements, in whole blocks of channels
# every coefficient has its own power of ten, so that a sum tells what it is made of
EXAMPLE = replace(find_target("rk3588"), name="example")
LAUNCH, HOST, HANDOVER = 1e5, 1e6, 1e7
COEFFICIENTS = Coefficients(1.0, 0.0, 100.0, 1000.0, 3000.0, 10.0, 1e4, LAUNCH, HOST, HANDOVER)
TIMED = [target for target in TARGETS if is_fitted(target)]


@pytest.fixture(autouse=True)
def example(monkeypatch: pytest.MonkeyPatch) -> None:
    for fits in FITTED.values():
        monkeypatch.setitem(fits, EXAMPLE.name, COEFFICIENTS)


def layer(op: str, npu: int = 0, ddr: int = 0, dtype: str = "INT8", runs_on: str = "NPU") -> Layer:
    return Layer(0, op, dtype, runs_on, (SHAPE,), (SHAPE,), ddr, npu, max(npu, ddr), op)


def milliseconds(*layers: Layer) -> float:
    found = estimate(layers, EXAMPLE)
    assert found is not None and found.ms is not None
    return found.ms


def test_a_layer_takes_little_more_than_its_slowest_part() -> None:
    assert milliseconds(layer("Conv", npu=3_000_000)) == pytest.approx(3 + LAUNCH)
    both = milliseconds(layer("ConvExSwish", npu=200_000_000))
    assert both == pytest.approx(200 * 2 ** (1 / 6) + LAUNCH)


def test_what_is_read_is_added() -> None:
    """Of five million bytes two are written; the rest are inputs and weights."""
    ddr = round(5e6 / 1024 * EXAMPLE.ddr_cycles_per_kb)
    assert milliseconds(layer("Conv", npu=3_000_000, ddr=ddr)) == pytest.approx(
        3 + 3 * 10 + LAUNCH, rel=1e-6
    )


def test_an_activation_counts_its_elements() -> None:
    assert milliseconds(layer("ConvExSwish", npu=100)) == pytest.approx(2 * 100 + LAUNCH)
    assert milliseconds(layer("ConvRelu", npu=100)) == pytest.approx(0.0001 + LAUNCH)


def test_an_activation_of_33_channels_costs_that_of_64() -> None:
    def swish(channels: int) -> float:
        out = ((1, channels, 100, 100),)
        return milliseconds(Layer(0, "ConvExSwish", "INT8", "NPU", (), out, 0, 1, 1, "c"))

    assert swish(33) == pytest.approx(swish(64))
    assert swish(33) > swish(32)


def test_a_depthwise_activation_works_on_wider_blocks() -> None:
    def work(weights: tuple[int, ...]) -> float:
        shapes = ((1, 80, 80, 80), weights), ((1, 80, 80, 80),)
        row = Layer(0, "ConvExSwish", "INT8", "NPU", *shapes, 1, 1, 1, "c")
        return works_of([row], EXAMPLE)[0].activation

    assert work((1, 80, 3, 3)) / work((80, 80, 3, 3)) == pytest.approx(128 / 96)


def test_a_layer_without_cycles_moves_memory() -> None:
    assert milliseconds(layer("Add")) == pytest.approx(4 * 1000 + LAUNCH)
    assert milliseconds(layer("Add", dtype="FLOAT16")) == pytest.approx(8 * 1000 + LAUNCH)
    assert milliseconds(layer("Transpose")) == pytest.approx(5 * 4 * 1000 + LAUNCH)


def test_concat_and_split_move_each_byte_twice() -> None:
    half = (1, 64, 125, 125)
    concat = Layer(0, "Concat", "INT8", "NPU", (half,), (SHAPE,), 0, 0, 0, "c")
    split = Layer(0, "Split", "INT8", "NPU", (SHAPE,), (half,), 0, 0, 0, "s")
    for row in (concat, split):
        assert milliseconds(row) == pytest.approx(4 * 1000 + LAUNCH)


def test_a_product_with_a_vector_costs_more() -> None:
    inputs = (SHAPE, (1, 128, 1, 1))
    row = Layer(0, "Mul", "INT8", "NPU", inputs, (SHAPE,), 0, 0, 0, "m")
    assert milliseconds(row) == pytest.approx(3000 * 4.000128 + LAUNCH)


def test_a_scalar_does_not_tell_the_type() -> None:
    """The row of a product with a scalar has the scalar's type; the network is of 8 bits."""
    around = [layer("Add"), layer("Add")]
    product = Layer(0, "Mul", "FLOAT", "NPU", (SHAPE,), (SHAPE,), 0, 0, 0, "m")
    assert milliseconds(*around, product) == pytest.approx(3 * (4 * 1000 + LAUNCH))


def test_the_cpu_costs_a_hand_over_where_the_npu_goes_on() -> None:
    cpu, npu = layer("Softmax", runs_on="CPU"), layer("Conv", npu=1)
    several = milliseconds(npu, cpu, cpu, npu)
    assert several == pytest.approx(2 * LAUNCH + 4 * HOST + HANDOVER)
    assert milliseconds(npu, cpu) == pytest.approx(LAUNCH + 2 * HOST + TAIL)
    copied = layer("Transpose", runs_on="CPU")
    assert milliseconds(npu, copied) == pytest.approx(LAUNCH + 0.2 * HOST + TAIL)


def test_attention_counts_its_scores() -> None:
    queries, keys, out = (2, 32, 1, 400), (2, 32, 1, 400), (2, 64, 1, 400)
    row = Layer(0, "exSDPAttention", "INT8", "NPU", (queries, keys), (out,), 0, 0, 0, "a")
    (work,) = works_of([row], EXAMPLE)
    assert work.scores == pytest.approx(2 * 400 * 400 / 1e6)


def test_an_image_is_read_more_slowly() -> None:
    def read(channels: int) -> float:
        shapes = ((1, channels, 64, 64), (16, channels, 3, 3)), ((1, 16, 64, 64),)
        row = Layer(0, "ConvRelu", "INT8", "NPU", *shapes, 10_000, 1, 10_000, "stem")
        return works_of([row], EXAMPLE)[0].read

    assert read(3) == pytest.approx(4 * read(16))


def test_the_models_inputs_and_outputs_cost_nothing() -> None:
    rows = [layer("InputOperator", runs_on="CPU"), layer("OutputOperator")]
    assert works_of(rows, EXAMPLE) == (Work(), Work())


MIXED = [
    layer("InputOperator"),
    layer("ConvRelu", npu=3_000_000),
    Layer(0, "Conv", "INT8", "NPU", (), (), 9_000_000, 5_000, 9_000_000, "thin"),
    layer("ConvExSwish", npu=5_000),
    layer("Concat"),
    layer("ArgMax", runs_on="CPU"),
    layer("OutputOperator"),
]


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_the_costs_of_the_layers_make_up_the_estimate(target: Target) -> None:
    costs = layer_costs(MIXED, target)
    found = estimate(MIXED, target)
    assert len(costs) == len(MIXED)
    assert found is not None
    assert found.cycles == 12_005_000
    if not is_fitted(target):
        assert {cost.ms for cost in costs} == {found.ms} == {None}
        assert found.low is None and found.high is None
    else:
        assert sum(cost.ms or 0.0 for cost in costs) == pytest.approx(found.ms)


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_a_layer_is_bound_by_memory_or_by_arithmetic(target: Target) -> None:
    bounds = [cost.bound for cost in layer_costs(MIXED, target)]
    kinds = ["overhead", "compute", "memory", "activation", "memory", "cpu", "overhead"]
    assert bounds == kinds


@pytest.mark.parametrize("target", TIMED, ids=lambda target: target.name)
def test_the_band_is_that_of_the_time(target: Target) -> None:
    found = estimate([layer("Conv", npu=5_000_000)], target)
    assert found is not None and found.ms
    assert (found.low, found.high) == band_of(found.ms, target.name)


@pytest.mark.parametrize("name", ["rk3566", "rk3588"])
@given(
    rows=st.lists(
        st.builds(
            layer,
            st.sampled_from(["Conv", "ConvExSwish", "Add", "Concat", "Sigmoid", "exSDPAttention"]),
            npu=st.integers(0, 10**7),
            ddr=st.integers(0, 10**7),
            runs_on=st.sampled_from(["NPU", "CPU"]),
        ),
        min_size=1,
        max_size=6,
    ),
    dropped=st.integers(0, 5),
)
def test_a_model_with_a_layer_or_work_less_is_faster(
    name: str, rows: list[Layer], dropped: int
) -> None:
    target = find_target(name)
    whole = sum(cost.ms or 0.0 for cost in layer_costs(rows, target))
    at = dropped % len(rows)
    rest = layer_costs([*rows[:at], *rows[at + 1 :]], target)
    assert 0 <= sum(cost.ms or 0.0 for cost in rest) < whole
    one = rows[at]
    lighter = replace(one, npu_cycles=one.npu_cycles // 2, ddr_cycles=one.ddr_cycles // 2)
    pruned = layer_costs([*rows[:at], lighter, *rows[at + 1 :]], target)
    assert sum(cost.ms or 0.0 for cost in pruned) <= whole * (1 + 1e-12)


def test_no_table_no_estimate() -> None:
    assert estimate([], find_target("rk3588")) is None
    assert layer_costs([], find_target("rk3588")) == ()


@pytest.mark.parametrize("kind", ["forms", "formats"])
def test_a_ratio_is_surer_where_less_changes(kind: str) -> None:
    assert 1 < ratio_band("forms") <= ratio_band(kind)
    with pytest.raises(KeyError):
        ratio_band("sizes")


def test_a_short_time_has_the_wider_band() -> None:
    short, usual = band_of(2.0, "rk3588"), band_of(20.0, "rk3588")
    assert short[1] / short[0] > usual[1] / usual[0] > 1


def test_the_coefficients_are_those_for_the_toolkits_tables() -> None:
    rk3588 = find_target("rk3588")
    newest = coefficients_of(rk3588)
    assert newest is not None
    for version in (None, "", "unknown", "2.5.0", "9.0"):
        assert coefficients_of(rk3588, version) == newest
    assert coefficients_of(find_target("rv1106"), "2.5.0") is None
