"""A method that makes NaN of the samples loses and is named; alone, nothing is written of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, numpy_helper

from graphs import model_of, random_feeds
from rockpress.core.errors import NaNSampleError, NotFiniteError
from rockpress.core.graphs.model import load_model
from rockpress.core.session import Session
from rockpress.pipeline.quantize_file import quantize_file
from rockpress.pipeline.recipes.recipe import make_recipe
from rockpress.prune.prune import Pruner
from rockpress.prune.repair.refit import set_initializer
from rockpress.prune.results.budget import Budget, macs_cost
from rockpress.prune.search.costs import CostFunction
from rockpress.quantize.quantize import QuantizeResult, quantize
from rockpress.quantize.rendering.plan import Plan
from rockpress.quantize.schemes.w4a16 import FourBitCandidates
from rockpress.quantize.trials.method_selection import MethodTrial, TaskMetric, Verdict, verdict_on
from samples import save_feeds

NET = "(float[1,3,8,8] x) => (float y) { a = Conv (x, w, b) r = Relu (a) y = Conv (r, v, c) }"
NAN_NET = "(float[1,4] x) => (float y) { r = Sqrt (x) y = MatMul (r, w) }"
SHAPES = {"w": (8, 3, 1, 1), "b": (8,), "v": (4, 8, 1, 1), "c": (4,)}


def made(folder: Path, method: str, *, held_out: int = 8) -> QuantizeResult:
    model = model_of(NET, SHAPES)
    samples = random_feeds(model, 20)
    paths = folder / "q.onnx", folder / "p.toml"
    return quantize(
        model, *paths, samples[held_out:], samples[:held_out], scheme="w4a16", method=method
    )


def broken(model: ModelProto, value: float) -> ModelProto:
    """The model with a weight of this value."""
    copy = ModelProto()
    copy.CopyFrom(model)
    tensor = next(each for each in copy.graph.initializer if len(each.dims) == 4)
    weight = numpy_helper.to_array(tensor).copy()
    weight.flat[0] = value
    tensor.CopyFrom(numpy_helper.from_array(weight, tensor.name))
    return copy


@pytest.fixture
def breaks(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """What a method makes of a weight, by its name."""
    values: dict[str, float] = {}
    candidate, final = FourBitCandidates.candidate, FourBitCandidates.final

    def of(pair: tuple[Plan, ModelProto], method: str) -> tuple[Plan, ModelProto]:
        return (pair[0], broken(pair[1], values[method])) if method in values else pair

    monkeypatch.setattr(
        FourBitCandidates, "candidate", lambda self, name: of(candidate(self, name), name)
    )
    monkeypatch.setattr(
        FourBitCandidates,
        "final",
        lambda self, plan, more: of(final(self, plan, more), plan.method),
    )
    return values


@pytest.mark.parametrize(
    ("value", "what"), [(np.nan, "weights"), (np.inf, "weights"), (3e38, "outputs")]
)
@pytest.mark.parametrize("method", ["gptq", "gptq-refit"])
def test_a_method_that_is_not_finite_loses_and_is_named(
    tmp_path: Path, breaks: dict[str, float], method: str, value: float, what: str
) -> None:
    breaks[method] = value
    result = made(tmp_path, "auto")
    assert result.plan.method != method
    assert method not in result.plan.candidates and len(result.plan.candidates) == 3
    (notice,) = (each for each in result.notices if each.code == "calibration-not-finite")
    assert f"left out of the comparison: {method}" in notice.text
    assert f"NaN or infinite {what}" in notice.text
    model = model_of(NET, SHAPES)
    session = Session(load_model(tmp_path / "q.onnx"))
    assert all(np.isfinite(session.run(feeds)[0]).all() for feeds in random_feeds(model, 4))


@pytest.mark.parametrize("held_out", [0, 8])
@pytest.mark.parametrize("value", [np.nan, -np.inf])
def test_a_method_that_was_asked_for_ends_before_anything_is_written(
    tmp_path: Path, breaks: dict[str, float], value: float, held_out: int
) -> None:
    made(tmp_path, "gptq-refit", held_out=held_out)
    before = [(tmp_path / name).read_bytes() for name in ("q.onnx", "p.toml")]
    breaks["gptq-refit"] = value
    with pytest.raises(NotFiniteError, match="of these calibration samples gptq-refit") as caught:
        made(tmp_path, "gptq-refit", held_out=held_out)
    assert "samples" in caught.value.hint
    assert [(tmp_path / name).read_bytes() for name in ("q.onnx", "p.toml")] == before


def test_where_every_method_is_not_finite_nothing_is_written(
    tmp_path: Path, breaks: dict[str, float]
) -> None:
    breaks |= dict.fromkeys(("gptq", "gptq-refit", "mse", "min-max"), np.nan)
    with pytest.raises(NotFiniteError, match="gptq makes NaN"):
        made(tmp_path, "auto")
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_finite_loses_to_what_is_worst() -> None:
    """Trained models are judged so, too; whatever place it has and what the metric says."""
    top1 = TaskMetric("top1", lambda index, outputs: 1.0)
    bad = MethodTrial(-np.inf, (np.nan,) * 4, (1.0,) * 4, is_finite=False)
    low = MethodTrial(-80.0, (-80.0,) * 4, (0.0,) * 4)
    for trials in ({"bad": bad, "low": low}, {"low": low, "bad": bad}):
        assert verdict_on(trials) == Verdict("low", "sqnr")
        assert verdict_on(trials, top1).best == "low"


def test_outputs_that_are_not_finite_replace_no_file(
    tmp_path: Path, breaks: dict[str, float]
) -> None:
    model = model_of(NET, SHAPES, prepared=False)
    onnx.save(model, tmp_path / "m.onnx")
    calib = save_feeds(tmp_path / "calib.npz", random_feeds(model, 12))
    recipe = make_recipe(tmp_path / "m.onnx", calib=calib, scheme="w4a16", target=("rk3576",))
    recipe = recipe.with_options(method="gptq-refit", mixed="off")
    kept = tmp_path / "q.onnx", tmp_path / "q.plan.toml"
    quantize_file(recipe, kept[0])
    before = [path.read_bytes() for path in kept]
    breaks["gptq-refit"] = 3e38
    with pytest.raises(NotFiniteError, match="gives NaN or infinite values in 'y'"):
        quantize_file(recipe, kept[0])
    assert [path.read_bytes() for path in kept] == before


def test_a_repair_that_is_not_finite_is_an_error() -> None:
    model = model_of(NET, SHAPES)
    with pytest.raises(NotFiniteError, match="the weight 'w' is NaN or infinite"):
        set_initializer(model, "w", np.full((8, 3, 1, 1), np.inf))


@pytest.mark.parametrize("bad", ["first", "last"])
def test_a_plan_whose_outputs_are_not_finite_loses(
    bad: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors = {"first": [np.nan, 0.5, 0.6], "last": [0.5, 0.6, np.nan]}[bad]
    left = iter(errors)
    monkeypatch.setattr("rockpress.prune.prune.error_on", lambda *_: lambda _: next(left))
    model = model_of(
        "(float[1,3,8,8] x) => (float y) { a = Conv (x, w, b) r = Relu (a) c = Conv (r, v, d)"
        " s = Relu (c) y = Conv (s, u, e) }",
        {
            **{"w": (64, 3, 1, 1), "b": (64,), "v": (64, 64, 1, 1), "d": (64,)},
            **{"u": (4, 64, 1, 1), "e": (4,)},
        },
    )
    pruner = Pruner(model, random_feeds(model, 16), cost=CostFunction(macs_cost, 8))
    choice = pruner.prune(Budget("macs", 0.4), tmp_path / "p.onnx").choice
    assert choice is not None and len(choice.values) > 1
    assert choice.values[choice.plan] == 0.5


def test_a_sample_that_gives_nan_has_the_name_of_its_file(tmp_path: Path) -> None:
    """Auto holds a fifth out, and a count draws some: its place among the rest is no name."""
    model = model_of(NAN_NET, {"w": (4, 3)}, prepared=False)
    onnx.save(model, tmp_path / "m.onnx")
    values = np.full((30, 1, 4), 0.5, np.float32)
    values[17] = -1
    np.save(tmp_path / "calib.npy", values[:, 0])
    recipe = make_recipe(tmp_path / "m.onnx", calib=tmp_path / "calib.npy")
    for method, count in (("auto", 30), ("min-max", 30), ("min-max", 29)):
        with pytest.raises(NaNSampleError, match=r"calib\.npy\[17\] gives NaN in the tensor"):
            quantize_file(
                recipe.with_options(method=method, mixed="off", calib_count=count),
                tmp_path / "q.onnx",
            )
