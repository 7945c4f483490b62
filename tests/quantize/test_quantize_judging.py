"""Labels as judge: the metric decides between candidates where it can, SQNR elsewhere."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import ModelProto, numpy_helper

from graphs import model_of, random_feeds, random_weights
from rockpress.calibration_data.preprocessing import Preprocessing
from rockpress.calibration_data.samples import Samples, open_samples
from rockpress.core.graphs.model import load_model
from rockpress.core.progress import SILENT
from rockpress.core.session import Session
from rockpress.core.types import Array
from rockpress.pipeline.samples.task_metric import judge_for
from rockpress.pipeline.tasks.held_out import held_out
from rockpress.pipeline.tasks.quantizing import quantize_step
from rockpress.quantize.quantize import quantize
from rockpress.quantize.rendering.plan import read_plan
from rockpress.quantize.trials.held_out_samples import HeldOut, Logits, logits_of
from rockpress.quantize.trials.method_selection import MethodTrial, TaskMetric, Verdict, verdict_on
from samples import pixels

TOP1 = TaskMetric("top1", lambda index, outputs: 0.0)
LOSS = TaskMetric("loss", lambda index, outputs: 0.0, lower_is_better=True)


def right(count: int, of: int = 24) -> tuple[float, ...]:
    return (1.0,) * count + (0.0,) * (of - count)


def trial(db: float, scores: tuple[float, ...] = (), noise: float = 0.1) -> MethodTrial:
    """A candidate whose samples all have about this SQNR."""
    random = np.random.default_rng(int(db * 10))
    return MethodTrial(db, tuple(db + noise * random.standard_normal(len(scores) or 24)), scores)


@pytest.mark.parametrize(("flips", "best"), [(0, "far"), (1, "far"), (3, "far"), (4, "near")])
def test_so_many_more_right_of_24_outweigh_sqnr(flips: int, best: str) -> None:
    trials = {"near": trial(20, right(20)), "far": trial(25, right(20 - flips))}
    verdict = verdict_on(trials, TOP1)
    assert (verdict.best, verdict.chosen_by) == (best, "top1" if best == "near" else "sqnr")


def test_flips_to_both_sides_are_chance() -> None:
    trials = {"a": trial(20, right(14)), "b": trial(25, tuple(reversed(right(10))))}
    assert verdict_on(trials, TOP1).best == "b"


def test_lower_may_be_better() -> None:
    trials = {"a": trial(20, (1.0, 1.1, 0.9, 1.0)), "b": trial(25, (2.0, 2.1, 1.9, 2.0))}
    assert verdict_on(trials, LOSS).best == "a"
    assert verdict_on(trials, TOP1).best == "b"


def test_the_nearest_of_equal_candidates_is_kept() -> None:
    trials = {
        "worst": trial(30, right(10)),
        "first": trial(20, right(20)),
        "second": trial(22, right(19)),
    }
    verdict = verdict_on(trials, TOP1)
    assert (verdict.best, verdict.chosen_by) == ("second", "top1")


def test_a_single_hard_sample_decides_nothing() -> None:
    """It has nearly all the noise, so the SQNR over all samples is much better without it."""
    easy, hard = np.full(20, 40.0), np.full(20, 40.0)
    hard[7] = 5.0
    found = verdict_on({"a": MethodTrial(18.0, tuple(hard)), "b": MethodTrial(40.0, tuple(easy))})
    assert found == Verdict("a", "sqnr")
    always = MethodTrial(18.6, tuple(hard + 0.6))
    assert verdict_on({"a": MethodTrial(18.0, tuple(hard)), "b": always}).best == "b"


def test_a_candidate_that_reproduces_samples_exactly_is_better() -> None:
    exact, near = MethodTrial(math.inf, (math.inf,) * 6), trial(40, (1.0,) * 6)
    assert verdict_on({"a": near, "b": exact}).best == "b"
    assert verdict_on({"a": exact, "b": near}).best == "a"
    assert verdict_on({"a": exact, "b": exact}).best == "a"


_DB = st.floats(0, 40) | st.sampled_from([math.inf, -math.inf])


@given(
    st.lists(
        st.lists(st.tuples(st.booleans(), _DB), min_size=9, max_size=9), min_size=1, max_size=5
    )
)
def test_the_kept_one_is_never_worse_than_a_better_one_by_more_than_chance(
    drawn: list[list[tuple[bool, float]]],
) -> None:
    trials = {
        str(i): MethodTrial(0.0, tuple(db for _, db in one), tuple(float(hit) for hit, _ in one))
        for i, one in enumerate(drawn)
    }
    verdict = verdict_on(trials, TOP1)
    kept = np.array(trials[verdict.best].scores)
    leader = max((np.array(one.scores) for one in trials.values()), key=lambda one: one.mean())
    lost = leader - kept
    assert lost.mean() <= 2 * lost.std(ddof=1) / 3 + 1e-12
    assert (verdict.chosen_by == "sqnr") == (verdict.best == verdict_on(trials).best)


def test_chance_alone_seldom_takes_over() -> None:
    """Of candidates that differ by chance alone one in forty is taken for better than the first."""
    random = np.random.default_rng(0)
    taken = 0
    for _ in range(1000):
        a, b = (MethodTrial(0.0, tuple(random.normal(25, 5, 20))) for _ in range(2))
        taken += verdict_on({"a": a, "b": b}).best == "b"
    assert taken < 60


# Before the last Softmax or Sigmoid


@pytest.mark.parametrize(
    ("last", "tensor", "axis"),
    [
        ("Softmax <axis=1> (a)", "a", 1),
        ("Softmax (a)", "a", -1),
        ("Sigmoid (a)", "a", None),
        ("Relu (a)", "y", None),
    ],
)
def test_samples_are_compared_before_the_last_softmax(
    last: str, tensor: str, axis: int | None, tmp_path: Path
) -> None:
    text = f"(float[1,3,8,8] x) => (float[1,4,8,8] y) {{ a = Conv (x, w)\n y = {last} }}"
    weight = np.random.default_rng(0).standard_normal((4, 3, 1, 1)).astype(np.float32) * 9
    model = model_of(text, {"w": weight})
    assert logits_of(model) == (Logits(tensor, axis),)
    samples = random_feeds(model, 6, 1)
    shifted = ModelProto()
    shifted.CopyFrom(model)
    bias = np.array([1, 2, 3, 4], np.float32) if axis is None else np.full(4, 2, np.float32)
    shifted.graph.initializer.append(numpy_helper.from_array(bias, "b"))
    shifted.graph.node[0].input.append("b")
    found = HeldOut(model, samples).trial(shifted)
    convs = [np.einsum("oi,bihw->bohw", weight[:, :, 0, 0], one["x"]) for one in samples]
    if axis is not None:
        assert min(found.each_db) > 90  # the same added to all values changes no Softmax
    elif last.startswith("Sigmoid"):
        noise = 64 * (1 + 4 + 9 + 16)
        expected = [10 * np.log10(np.square(one).sum() / noise) for one in convs]
        np.testing.assert_allclose(found.each_db, expected, rtol=1e-3)
    quantize(model, tmp_path / "q.onnx", tmp_path / "p.toml", samples)
    (held,) = logits_of(load_model(tmp_path / "q.onnx"))
    assert held.axis == axis
    assert held.tensor.startswith(tensor)


# On a model

NET = """(float[1,3,8,8] x) => (float[1,4] y) {
    a = Conv <pads=[1,1,1,1]> (x, w1, b1)
    r = Relu (a)
    m = GlobalAveragePool (r)
    f = Flatten (m)
    y = Gemm <transB=1> (f, w2, b2) }"""


@pytest.fixture(scope="module")
def net() -> ModelProto:
    shapes = {"w1": (6, 3, 3, 3), "b1": (6,), "w2": (4, 6), "b2": (4,)}
    return model_of(NET, random_weights(shapes, scale=1 / 3))


def saved(path: Path, model: ModelProto, count: int, classes: int = 4) -> Samples:
    """Samples of pixels with a label each; of four classes they are what the model says."""
    images = pixels(count, 8, 8, 3, seed=1)
    np.savez(path, images=images, labels=np.zeros(count, np.int64))
    samples = open_samples(path, {"x": (1, 3, 8, 8)}, Preprocessing(std=(64.0,)))
    session = Session(model)
    found = [int(session.run(feeds)[0].argmax()) for feeds in samples]
    labels = np.array(found) if classes == 4 else np.arange(count) % classes
    np.savez(path, images=images, labels=labels)
    return open_samples(path, {"x": (1, 3, 8, 8)}, Preprocessing(std=(64.0,)))


def test_labels_are_scored_like_the_final_metric(net: ModelProto, tmp_path: Path) -> None:
    samples = saved(tmp_path / "s.npz", net, 12)
    metric, notices = judge_for(net, samples, "top1")
    assert metric is not None
    assert notices == ()
    session = Session(net)
    assert [metric.score(i, session.run(one)) for i, one in enumerate(samples)] == [1.0] * 12
    wrong = np.zeros((1, 4), np.float32)
    wrong[0, (samples.labels[0] + 1) % 4] = 1  # type: ignore[index]
    assert metric.score(0, [wrong]) == 0


def test_labels_of_more_classes_than_the_model_has_are_left_aside(
    net: ModelProto, tmp_path: Path
) -> None:
    samples = saved(tmp_path / "s.npz", net, 30, classes=5)
    result = quantize_step(net, tmp_path / "q.onnx", tmp_path / "p.toml", samples, SILENT)
    assert [one.code for one in result.notices] == ["calibration-labels"]
    assert "the model has 4 classes" in result.notices[0].text
    assert (result.plan.metric, result.plan.scores) == ("", {})
    assert result.plan.candidates


def test_unlabelled_samples_have_no_judge(net: ModelProto, tmp_path: Path) -> None:
    np.save(tmp_path / "s.npy", np.zeros((3, 3, 8, 8), np.float32))
    samples = open_samples(tmp_path / "s.npy", {"x": (1, 3, 8, 8)})
    assert judge_for(net, samples, "top1") == (None, ())
    assert judge_for(net, None, "top1") == (None, ())


def test_the_metric_of_every_method_is_in_the_plan(net: ModelProto, tmp_path: Path) -> None:
    samples = saved(tmp_path / "s.npz", net, 40)
    result = quantize_step(net, tmp_path / "q.onnx", tmp_path / "p.toml", samples, SILENT)
    plan = result.plan
    assert plan.metric == "top1"
    assert set(plan.scores) == set(plan.candidates) >= {"gptq", "gptq-min-max", "mse", "min-max"}
    assert all(0 <= value <= 1 for value in plan.scores.values())
    assert read_plan(tmp_path / "p.toml") == plan


def test_labelled_samples_are_held_out_in_larger_numbers(net: ModelProto, tmp_path: Path) -> None:
    labelled = saved(tmp_path / "s.npz", net, 200)
    np.save(tmp_path / "s.npy", np.zeros((200, 3, 8, 8), np.float32))
    plain = open_samples(tmp_path / "s.npy", {"x": (1, 3, 8, 8)})
    counts = [len(kept) for _, kept in (held_out(one, 0) for one in (labelled, plain)) if kept]
    assert counts == [40, 24]


@pytest.mark.parametrize("scheme", ["w8a8", "w4a16"])
@pytest.mark.parametrize("lower", [False, True])
def test_a_metric_that_can_tell_overrules_sqnr(
    scheme: str, lower: bool, net: ModelProto, tmp_path: Path
) -> None:
    """The first candidate that is measured scores 1 throughout, all others 0."""
    random = np.random.default_rng(3)
    samples = [{"x": random.standard_normal((1, 3, 8, 8)).astype(np.float32)} for _ in range(30)]
    seen: list[int] = []

    def score(index: int, outputs: Sequence[Array]) -> float:
        seen.append(index)
        return float((len(seen) <= 6) != lower)

    metric = TaskMetric("own", score, lower_is_better=lower)
    paths = tmp_path / "q.onnx", tmp_path / "p.toml"
    plan = quantize(net, *paths, samples[:24], samples[24:], scheme=scheme, metric=metric).plan
    first = next(iter(plan.candidates))
    assert seen == list(range(6)) * len(plan.candidates)
    assert plan.method == first
    plain = quantize(net, *paths, samples[:24], samples[24:], scheme=scheme)
    assert plan.chosen_by == ("sqnr" if plain.plan.method == first else "own")
    assert plan.scores[first] == float(not lower)
    asked = quantize(net, *paths, samples[:24], scheme=scheme, method="mse")
    assert read_plan(tmp_path / "p.toml").chosen_by == asked.plan.chosen_by == "user"
