"""Weights of 8 bits refitted on inputs whose rounding is that of the quantized network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto

from graphs import Samples, Weights, model_of
from rockpress.core.graphs.graph import Graph
from rockpress.core.graphs.model import load_model
from rockpress.core.session import Session
from rockpress.core.similarity import sqnr_db
from rockpress.core.types import Array
from rockpress.quantize.graph_parts.placement import weighted_nodes
from rockpress.quantize.graph_parts.weighted_layers import layers_from
from rockpress.quantize.integer.refitted_integers import refitted_integers
from rockpress.quantize.methods import find_method
from rockpress.quantize.mixing.mixed_budget import MixedPrecision, parse_mixed
from rockpress.quantize.quantize import preferred_first, quantize
from rockpress.quantize.rendering.plan import Plan, Tradeoff, read_plan
from rockpress.quantize.rendering.shortfall import Shortfall
from rockpress.quantize.trials.method_selection import MethodTrial, verdict_on

Quantized = tuple[Plan, ModelProto]


def feeds(count: int, seed: int, size: int = 8, shift: float = 0.3) -> Samples:
    """Images whose six channels have much in common."""
    random = np.random.default_rng(seed)
    common = random.standard_normal((count, 1, 1, size, size))
    own = random.standard_normal((count, 1, 6, size, size))
    return [{"x": sample.astype(np.float32)} for sample in common + 0.5 * own + shift]


def decibels(model: ModelProto, other: ModelProto, samples: Samples) -> float:
    sessions = Session(model), Session(other, optimise=False)
    references, results = ([session.run(each)[0] for each in samples] for session in sessions)
    return sqnr_db([np.stack(references)], [np.stack(results)])


@pytest.fixture
def quantized(tmp_path: Path) -> Callable[..., Quantized]:
    def make(model: ModelProto, method: str, *samples: Samples, **options: object) -> Quantized:
        paths = tmp_path / "q.onnx", tmp_path / "p.toml"
        result = quantize(model, *paths, *samples, method=method, **options)  # type: ignore[arg-type]
        assert read_plan(paths[1]) == result.plan
        return result.plan, load_model(paths[0])

    return make


DEEP = """(float[1,6,8,8] x) => (float[1,10] y) {
    a = Conv (x, w1, b1)
    r = Relu (a)
    d = Conv <group=24, pads=[1,1,1,1]> (r, w2, b2)
    s = Relu (d)
    p = Conv (s, w3, b3)
    q = Conv (p, w4, b4)
    g = Sigmoid (q)
    t = Mul (q, g)
    e = Conv <group=24, pads=[1,1,1,1]> (t, w5, b5)
    u = Relu (e)
    v = Conv (u, w6, b6)
    z = Add (v, p)
    m = GlobalAveragePool (z)
    f = Flatten (m)
    y = Gemm <transB=1> (f, w7, b7) }"""


@pytest.fixture(scope="module")
def deep() -> ModelProto:
    return model_of(
        DEEP,
        {
            **{"w1": (24, 6, 1, 1), "w2": (24, 1, 3, 3), "w3": (12, 24, 1, 1)},
            **{"w4": (24, 12, 1, 1), "w5": (24, 1, 3, 3), "w6": (12, 24, 1, 1)},
            **{"b1": (24,), "b2": (24,), "b3": (12,), "b4": (24,), "b5": (24,), "b6": (12,)},
            **{"w7": (10, 12), "b7": (10,)},
        },
    )


SILU = """(float[1,6,8,8] x) => (float[1,5] y) {
    a = Conv (x, w1, b1)
    g = Sigmoid (a)
    s = Mul (a, g)
    c = Conv (s, w2, b2)
    m = GlobalAveragePool (c)
    f = Flatten (m)
    y = Gemm <transB=1> (f, w3, b3) }"""


@pytest.fixture(scope="module")
def coarse() -> ModelProto:
    """A SiLU whose steps are so large that what is below 0 is lost, and with it the mean."""
    weights: Weights = {"w1": (12, 6, 1, 1), "w2": (8, 12, 1, 1), "w3": (5, 8)}
    return model_of(SILU, {**weights, "b1": (12,), "b2": (8,), "b3": (5,)})


def uneven(count: int, seed: int) -> Samples:
    samples = feeds(count, seed)
    samples[0]["x"][0, :, 3, 3] *= 60
    return samples


def test_it_makes_up_for_rounded_activations(
    coarse: ModelProto, quantized: Callable[..., Quantized]
) -> None:
    samples, unseen = uneven(64, 1), feeds(40, 3)
    plan, model = quantized(coarse, "gptq-min-max", samples)
    refitted, nearer = quantized(coarse, "gptq-min-max-refit", samples)
    assert refitted.activations == plan.activations
    assert {weight.source for weight in refitted.weights.values()} == {"gptq, refitted"}
    assert decibels(coarse, nearer, unseen) > decibels(coarse, model, unseen) + 1
    for layer in ("a", "c", "y"):
        assert np.abs(steps_of(nearer, layer)).max() <= 126


def test_auto_tries_it_on_the_best_of_the_others(
    deep: ModelProto, quantized: Callable[..., Quantized]
) -> None:
    plan, _ = quantized(deep, "auto", feeds(64, 1), feeds(16, 2))
    names = list(plan.candidates)
    refits = [name for name in names if find_method(name).refits]
    assert names[-1:] == refits == [plan.method]
    others = {name: db for name, db in plan.candidates.items() if name not in refits}
    assert find_method(plan.method).refines == max(others, key=lambda name: others[name])


def test_auto_does_not_try_it_on_few_samples(
    deep: ModelProto, quantized: Callable[..., Quantized]
) -> None:
    plan, _ = quantized(deep, "auto", feeds(15, 1), feeds(5, 2))
    assert not any(find_method(name).refits for name in plan.candidates)
    named, model = quantized(deep, "gptq-refit", feeds(15, 1))
    assert named.method == "gptq-refit"
    unseen = feeds(30, 3)
    _, plain = quantized(deep, "gptq", feeds(15, 1))
    assert decibels(deep, model, unseen) > decibels(deep, plain, unseen) - 0.5


def trial(*each_db: float) -> MethodTrial:
    return MethodTrial(float(np.mean(each_db)), each_db)


def test_it_is_taken_unless_it_is_worse_by_more_than_chance() -> None:
    plain = trial(20.0, 22.0, 21.0, 19.0)
    like_it, worse = trial(21.0, 21.0, 20.0, 19.5), trial(19.0, 20.5, 19.8, 17.9)
    compared = ("gptq", "mse")

    def best(refitted: MethodTrial) -> str:
        trials = {"gptq": plain, "mse": trial(18, 19, 18, 17), "gptq-refit": refitted}
        return verdict_on(preferred_first(trials, compared)).best

    assert best(like_it) == "gptq-refit"
    assert best(worse) == "gptq"
    # of what is compared in any case, as with weights of 4 bits, none is preferred
    trials = {"gptq": plain, "gptq-refit": like_it}
    assert list(preferred_first(trials, tuple(trials))) == ["gptq", "gptq-refit"]


@pytest.mark.parametrize("options", [{}, {"symmetric": True}, {"has_float16": False}])
@pytest.mark.parametrize(
    ("text", "weights"),
    [
        ("a = Conv (x, w, b) r = Relu (a) y = Conv (r, w, b)", {"w": (6, 6, 1, 1), "b": (6,)}),
        ("a = Conv (x, w) r = Relu (a) y = Conv (r, v)", {"w": (6, 6, 3, 3), "v": (4, 6, 1, 1)}),
        (
            "a = Conv (x, w, b) t = ConvTranspose <strides=[2,2]> (a, v, c) y = Conv (t, u)",
            {"w": (6, 6, 1, 1), "b": (6,), "v": (6, 4, 2, 2), "c": (4,), "u": (3, 4, 1, 1)},
        ),
        (
            "a = Conv (x, w, b) f = Flatten (a) m = MatMul (f, v) n = Relu (m) y = MatMul (n, u)",
            {"w": (6, 6, 1, 1), "b": (6,), "v": (384, 12), "u": (12, 5)},
        ),
        (
            "s = Conv (x, w, b) a = Conv (s, v, c) t = Add (s, a) h = HardSwish (t)"
            " k = Conv <group=2> (h, u, d) y = Add (k, h)",
            {
                **{"w": (6, 6, 1, 1), "b": (6,), "v": (6, 6, 1, 1), "c": (6,)},
                **{"u": (6, 3, 1, 1), "d": (6,)},
            },
        ),
    ],
)
def test_networks_of_all_forms(
    text: str, weights: Weights, options: dict[str, bool], quantized: Callable[..., Quantized]
) -> None:
    model = model_of(f"(float[1,6,8,8] x) => (y) {{ {text} }}", weights)
    samples, unseen = feeds(48, 1), feeds(20, 2)
    _, plain = quantized(model, "gptq", samples, **options)
    _, refitted = quantized(model, "gptq-refit", samples, **options)
    assert decibels(model, refitted, unseen) > decibels(model, plain, unseen) - 0.5
    assert decibels(model, refitted, unseen) > 20


def test_wide_layers_are_multiplied_sample_by_sample_to_the_same_end(
    deep: ModelProto, quantized: Callable[..., Quantized], monkeypatch: pytest.MonkeyPatch
) -> None:
    samples, counts = feeds(48, 1), list[int]()
    add = Shortfall.add

    def counting(self: Shortfall, missing: Array, x: Array) -> None:
        counts.append(x.shape[2])
        add(self, missing, x)

    monkeypatch.setattr(Shortfall, "add", counting)
    _, at_once = quantized(deep, "gptq-refit", samples)
    assert max(counts) == 8 * 16
    counts.clear()
    monkeypatch.setattr("rockpress.quantize.integer.refitted_integers._AT_ONCE", 0)
    _, one_by_one = quantized(deep, "gptq-refit", samples)
    assert set(counts) == {16, 1}  # positions of a map, and of a vector
    for layer in layers_of(deep):
        first, second = steps_of(at_once, layer), steps_of(one_by_one, layer)
        assert np.mean(first != second) < 0.02  # sums in another order


def layers_of(model: ModelProto) -> list[str]:
    graph = Graph(model)
    return [layer.name for layer in layers_from(graph, weighted_nodes(graph))]


def test_the_zeros_of_a_sparse_weight_stay(quantized: Callable[..., Quantized]) -> None:
    random = np.random.default_rng(4)
    weight = random.standard_normal((8, 8, 1, 1)).astype(np.float32)
    weight.reshape(8, 2, 4)[:, :, :2] = 0
    model = model_of(
        "(float[1,6,8,8] x) => (y) { a = Conv (x, w1, b1) y = Conv (a, w2, b2) }",
        {"w1": (8, 6, 1, 1), "b1": (8,), "w2": weight, "b2": (8,)},
    )
    _, refitted = quantized(model, "gptq-refit", feeds(48, 1))
    steps = steps_of(refitted, "y")
    assert not steps[weight == 0].any()
    assert np.count_nonzero(steps) > 0.9 * np.count_nonzero(weight)


def steps_of(model: ModelProto, layer: str) -> Array:
    return Graph(model).weights[f"{layer}.weight.dequantized.steps"]


def counted_refits(monkeypatch: pytest.MonkeyPatch) -> list[Plan]:
    plans = list[Plan]()

    def counting(graph: Graph, plan: Plan, *args: object, **options: object) -> object:
        plans.append(plan)
        return refitted_integers(graph, plan, *args, **options)  # type: ignore[arg-type]

    module = "rockpress.quantize.integer.integer_candidates"
    monkeypatch.setattr(f"{module}.refitted_integers", counting)
    return plans


@pytest.mark.parametrize(("count", "passes"), [(80, 1), (40, 2)])
def test_what_was_compared_is_the_file_unless_it_had_few_samples(
    deep: ModelProto,
    quantized: Callable[..., Quantized],
    monkeypatch: pytest.MonkeyPatch,
    count: int,
    passes: int,
) -> None:
    plans = counted_refits(monkeypatch)
    plan, model = quantized(deep, "auto", feeds(count, 1), feeds(16, 2))
    assert find_method(plan.method).refits
    assert len(plans) == passes
    assert plan.samples == (count if passes == 1 else count + 16)
    # either way the plan is that of the model
    for tensor, activation in plan.activations.items():
        scale = Graph(model).weights.get(f"{tensor}.scale")
        assert scale is None or scale == pytest.approx(activation.scale)
    named, _ = quantized(deep, "gptq-refit", feeds(count, 1))
    assert named.samples == count
    assert len(plans) == passes + 1  # nothing to compare it with, nothing to make again


def test_choices_of_mixed_precision_are_compared_without_it(
    deep: ModelProto, quantized: Callable[..., Quantized], monkeypatch: pytest.MonkeyPatch
) -> None:
    plans = counted_refits(monkeypatch)
    mixed = MixedPrecision(parse_mixed("cycles=+60%"), lambda layer, dtype: float(layer.macs))
    plan, _ = quantized(deep, "gptq-refit", feeds(48, 1), feeds(12, 2), mixed=mixed)
    assert len(plan.tradeoffs) > 1
    assert len(plans) == 2  # of int8 alone to see how good it is, and of what was chosen
    assert plans[1].high_precision == plan.high_precision != ()
    assert plan.weights and all("refitted" in each.source for each in plan.weights.values())


def test_a_rescue_aims_for_what_a_refit_does_not_bring(
    coarse: ModelProto, quantized: Callable[..., Quantized], monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = list[float | None]()

    def only_int8(
        graph: Graph, plan: Plan, unseen: object, mixed: MixedPrecision, *rest: object
    ) -> list[Tradeoff]:
        limits.append(mixed.below_db)
        return [Tradeoff((), 0.0, cycles_ratio=1.0)]

    monkeypatch.setattr(
        "rockpress.quantize.integer.integer_candidates.mixed_activations", only_int8
    )
    mixed = MixedPrecision(parse_mixed("cycles=+5%"), lambda layer, dtype: 1.0, below_db=60.0)
    plan, _ = quantized(coarse, "auto", uneven(64, 1), feeds(12, 2), mixed=mixed)
    method = find_method(plan.method)
    assert method.refits
    gained = plan.candidates[plan.method] - plan.candidates[method.refines]
    assert limits == [pytest.approx(60.0 - max(gained, 0.0))]


def test_nothing_is_mixed_where_it_is_enough_alone(
    coarse: ModelProto, quantized: Callable[..., Quantized]
) -> None:
    samples = uneven(64, 1), feeds(12, 2)
    alone, _ = quantized(coarse, "gptq-min-max-refit", *samples)
    reached = alone.candidates["gptq-min-max-refit"]
    plain, _ = quantized(coarse, "gptq-min-max", *samples)
    assert reached > plain.candidates["gptq-min-max"] + 1
    budget = replace(parse_mixed("sqnr=20"), value=reached - 0.1)
    mixed = MixedPrecision(budget, lambda layer, dtype: float(layer.macs))
    plan, _ = quantized(coarse, "gptq-min-max-refit", *samples, mixed=mixed)
    assert plan.high_precision == ()
    assert [choice.floating for choice in plan.tradeoffs] == [()]
