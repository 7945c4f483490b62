"""Which tensors lose accuracy: errors alone and accumulated, checked by hand in numpy."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import onnx.parser
import pytest
from onnx import ModelProto, numpy_helper
from typer.testing import CliRunner

from graphs import Samples, model_of, random_feeds, random_weights
from rockpress.cli.commands.quantize import app
from rockpress.cli.errors_table import show_errors
from rockpress.core.errors import SamplesError
from rockpress.core.graphs.model import load_model
from rockpress.core.passes.prepare import prepare_model
from rockpress.core.progress import Progress
from rockpress.core.similarity import sqnr_db
from rockpress.core.types import Array
from rockpress.pipeline.quantize_file import quantize_file
from rockpress.pipeline.recipes.recipe import make_recipe
from rockpress.pipeline.samples.ready_model import ready_model
from rockpress.quantize.error_report import TensorError, error_report
from rockpress.quantize.quantize import quantize
from rockpress.quantize.rendering.plan import Plan
from rockpress.quantize.rendering.qdq import dequantized_names, insert_qdq
from samples import save_feeds

TWO_CONVS = """(float[1,3,6,6] x) => (float y) {
    a = Conv (x, w1, b1)
    r = Relu (a)
    y = Conv (r, w2) }"""
BRANCHES = """(float[1,3,6,6] x) => (float y, float s) {
    a = Conv (x, w1, b1)
    r = Relu (a)
    p = MaxPool <kernel_shape=[2,2], strides=[2,2]> (r)
    y = Conv (p, w2)
    g = GlobalAveragePool (y)
    s = Softmax <axis=1> (g) }"""


def weights_of(**given: Array) -> dict[str, Array]:
    """Weights of both graphs: 3 -> 8 -> 4 channels, of one pixel each."""
    random = np.random.default_rng(3)
    weights = {
        "w1": random.standard_normal((8, 3, 1, 1)),
        "b1": random.standard_normal(8) * 0.3,
        "w2": random.standard_normal((4, 8, 1, 1)) * 0.4,
    }
    return random_weights({**weights, **given})


def feeds(count: int, seed: int) -> Samples:
    return random_feeds({"x": (1, 3, 6, 6)}, count, seed)


def made(
    model: ModelProto, folder: Path, samples: Samples, method: str = "min-max"
) -> tuple[ModelProto, Plan]:
    result = quantize(model, folder / "q.onnx", folder / "p.toml", samples, method=method)
    return load_model(result.path), result.plan


def reported(
    weights: dict[str, Array],
    folder: Path,
    text: str = TWO_CONVS,
    method: str = "min-max",
    **options: Any,
) -> tuple[TensorError, ...]:
    model = model_of(text, weights)
    quantized, plan = made(model, folder, feeds(16, 0), method)
    return error_report(model, quantized, plan, feeds(20, 1), **options)


def one_of(errors: tuple[TensorError, ...], kind: str, name: str) -> TensorError:
    (found,) = (one for one in errors if (one.kind, one.name) == (kind, name))
    return found


# By hand


def conv(x: Array, weight: Array) -> Array:
    return np.asarray(np.einsum("oi,nihw->nohw", weight[:, :, 0, 0], x))


def test_errors_agree_with_numpy(tmp_path: Path) -> None:
    weights = weights_of()
    model = model_of(TWO_CONVS, weights)
    seen, unseen = (np.concatenate([one["x"] for one in feeds(*how)]) for how in ((16, 0), (16, 1)))
    quantized, plan = made(model, tmp_path, feeds(16, 0))
    errors = error_report(model, quantized, plan, feeds(16, 1))

    def hidden(x: Array, w1: Array, b1: Array) -> Array:
        return np.asarray(np.maximum(conv(x, w1) + b1[:, None, None], 0))

    w1, b1, w2 = (weights[name].astype(np.float64) for name in ("w1", "b1", "w2"))
    step = np.abs(w1).max(axis=(1, 2, 3)) / 126
    near = np.rint(w1 / step[:, None, None, None]) * step[:, None, None, None]
    unit = step * plan.activations["x"].scale
    bias = np.rint(b1 / unit) * unit
    first = hidden(seen, w1, b1)
    ends = {
        "x": (seen.min(), seen.max()),
        "r": (0.0, first.max()),
        "y": (conv(first, w2).min(), conv(first, w2).max()),
    }

    def fake(name: str, values: Array) -> Array:
        one = plan.activations[name]
        np.testing.assert_allclose((one.low, one.high), ends[name], rtol=1e-5)
        steps = np.clip(np.rint(values / one.scale) + one.zero_point, -128, 127)
        return np.asarray((steps - one.zero_point) * one.scale)

    few = unseen[::2]  # eight of the sixteen
    outputs = conv(hidden(few, w1, b1), w2)
    alone = {
        ("activation", "x"): conv(hidden(fake("x", few), w1, b1), w2),
        ("activation", "r"): conv(fake("r", hidden(few, w1, b1)), w2),
        ("activation", "y"): fake("y", outputs),
        ("weight", "a"): conv(hidden(few, near, bias), w2),
    }
    for (kind, name), found in alone.items():
        expected = sqnr_db([outputs], [found])
        assert one_of(errors, kind, name).alone_db == pytest.approx(expected, abs=0.05)

    inner = conv(unseen, w1) + b1[:, None, None]
    got = conv(fake("x", unseen), near) + bias[:, None, None]
    gathered = {
        ("activation", "x"): (unseen, fake("x", unseen)),
        ("weight", "a"): (inner, got),
        ("activation", "r"): (np.maximum(inner, 0), fake("r", np.maximum(got, 0))),
    }
    for (kind, name), (reference, candidate) in gathered.items():
        expected = sqnr_db([reference], [candidate])
        assert one_of(errors, kind, name).accumulated_db == pytest.approx(expected, abs=0.05)


def test_a_weight_has_its_corrected_bias_with_it(tmp_path: Path) -> None:
    """One weight makes the steps coarse, so all others of its channel are lost but for the mean."""
    weights = weights_of()
    weights["w1"][0] = np.array([0.2, 0.2, 60]).reshape(3, 1, 1)
    factors = np.array([9, 9, 0], np.float32).reshape(3, 1, 1)
    samples = [{"x": np.abs(one["x"]) * factors} for one in feeds(8, 0)]
    model = model_of(TWO_CONVS, weights)
    quantized, plan = made(model, tmp_path, samples, "mse")
    stored = {t.name: numpy_helper.to_array(t) for t in quantized.graph.initializer}
    weight = stored["a.weight.dequantized.steps"] * stored["a.weight.dequantized.scale"].reshape(
        8, 1, 1, 1
    )
    bias = stored["a.bias.dequantized.steps"] * stored["a.bias.dequantized.scale"]
    assert abs(bias - weights["b1"]).max() > 1
    x = np.concatenate([one["x"] for one in samples])
    hidden = [
        np.maximum(conv(x, w) + b[:, None, None], 0)
        for w, b in ((weights["w1"], weights["b1"]), (weight, bias))
    ]
    expected = sqnr_db(*([conv(one, weights["w2"])] for one in hidden))
    found = one_of(error_report(model, quantized, plan, samples), "weight", "a")
    assert found.alone_db == pytest.approx(expected, abs=0.01)


# Order


def test_a_tensor_with_an_outlier_is_worst(tmp_path: Path) -> None:
    """One channel has values 300 times the others', and what follows does not even read it."""
    weights = weights_of()
    weights["w1"][0] *= 300
    weights["w2"][:, 0] = 0
    errors = reported(weights, tmp_path)
    assert (errors[0].name, errors[0].kind, errors[0].operator) == ("r", "activation", "Relu")
    assert errors[0].low == 0
    assert errors[0].high > 300
    assert errors[0].step == pytest.approx(errors[0].high / 255, rel=1e-5)
    worst, second = errors[0].alone_db, errors[1].alone_db
    assert worst is not None
    assert second is not None
    assert worst < second - 15
    # what comes after has inherited it, and adds little itself
    last = one_of(errors, "activation", "y")
    assert last.alone_db is not None
    assert last.accumulated_db < last.alone_db - 15


def test_a_coarse_channel_is_worst_among_weights(tmp_path: Path) -> None:
    """One weight, on an input that is always zero, takes the steps from the others' channel."""
    weights = weights_of()
    weights["w1"][0], weights["b1"][0] = 0, -1
    fine = one_of(reported(weights, tmp_path), "weight", "y").alone_db
    assert fine is not None
    assert fine > 35
    weights["w2"][2, 0] = 300
    coarse = [one for one in reported(weights, tmp_path) if one.kind == "weight"]
    assert [one.name for one in coarse] == ["y", "a"]
    assert coarse[0].operator == "Conv"
    assert coarse[0].alone_db is not None
    assert coarse[0].alone_db < 15
    assert coarse[0].high == 300
    assert coarse[0].step == pytest.approx(300 / 126)


@pytest.mark.parametrize("method", ["gptq", "mse"])
def test_every_tensor_once_worst_first(method: str, tmp_path: Path) -> None:
    errors = reported(weights_of(), tmp_path, BRANCHES, method)
    # p was only moved from r, and g is not quantized where its reader is not
    names = [(one.kind, one.name) for one in errors]
    assert len(set(names)) == len(names)
    assert {name for kind, name in names if kind == "weight"} == {"a", "y"}
    assert {"x", "r", "y"} <= {name for kind, name in names if kind == "activation"}
    assert ("activation", "p") not in names
    alone = [one.alone_db for one in errors if one.alone_db is not None]
    assert alone == sorted(alone)
    assert len(alone) == len(errors)


def test_tensors_that_stay_in_float_have_no_error(tmp_path: Path) -> None:
    model = model_of(TWO_CONVS, weights_of())
    _, plan = made(model, tmp_path, feeds(16, 0))
    floating = replace(plan.activations["r"], dtype="float16")
    mixed = replace(plan, activations={**plan.activations, "r": floating}, weights={})
    errors = error_report(model, insert_qdq(model, mixed, {}), mixed, feeds(10, 1))
    assert {(one.kind, one.name) for one in errors} == {("activation", "x"), ("activation", "y")}


def test_an_error_of_nothing_is_infinitely_small(tmp_path: Path) -> None:
    """Weights that are whole steps are not changed by rounding."""
    weights = weights_of(
        w2=np.random.default_rng(0).choice([126, -63, 126, 1], (4, 8, 1, 1)).astype(np.float32)
    )
    weights["w2"][:, 0] = 126
    error = one_of(reported(weights, tmp_path), "weight", "y")
    assert error.alone_db is not None
    assert error.alone_db > 100


# Limits


class Recorded(Progress):
    """The steps that a stage took."""

    def __init__(self) -> None:
        self.steps: list[tuple[str, int, int | None]] = []

    def step(self, activity: str, done: int, total: int | None = None) -> None:
        self.steps.append((activity, done, total))


def test_no_time_leaves_the_accumulated_errors(tmp_path: Path) -> None:
    recorded = Recorded()
    errors = reported(weights_of(), tmp_path, seconds=0, progress=recorded)
    assert len(errors) == 5
    assert all(one.alone_db is None for one in errors)
    accumulated = [one.accumulated_db for one in errors]
    assert accumulated == sorted(accumulated)
    assert np.isfinite(accumulated).all()
    assert recorded.steps[0] == ("accumulated error", 1, 20)
    assert recorded.steps[-1] == ("error alone", 4, 5)


def test_tensors_out_of_time_come_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Time for half of the eight samples, and it ends after two tensors: those expected worst."""
    weights = weights_of()
    weights["w1"][0] *= 300
    weights["w2"][:, 0] = 0
    ticks = iter([0.0, 1.0, 2.0, 2.0, 2.0, 9.0, 9.0, 9.0])
    clock = SimpleNamespace(monotonic=lambda: next(ticks))
    monkeypatch.setattr("rockpress.quantize.error_report.time", clock)
    errors = reported(weights, tmp_path, seconds=5)
    assert [one.alone_db is None for one in errors] == [False, False, True, True, True]
    assert errors[0].name == "r"
    monkeypatch.undo()
    model = model_of(TWO_CONVS, weights)
    quantized, plan = made(model, tmp_path, feeds(16, 0))
    again = error_report(model, quantized, plan, feeds(20, 1)[0:8:2])
    assert errors[0].alone_db == one_of(again, "activation", "r").alone_db
    assert errors[0].alone_db != one_of(reported(weights, tmp_path), "activation", "r").alone_db


def test_no_samples(tmp_path: Path) -> None:
    model = model_of(TWO_CONVS, weights_of())
    quantized, plan = made(model, tmp_path, feeds(16, 0))
    with pytest.raises(SamplesError, match="no samples"):
        error_report(model, quantized, plan, [])


def test_the_names_of_dequantized_tensors(tmp_path: Path) -> None:
    model = model_of(TWO_CONVS, weights_of())
    model.graph.node[0].output[0] = model.graph.node[1].input[0] = "x.dequantized"  # it is taken
    quantized, _ = made(prepare_model(model), tmp_path, feeds(16, 0))
    names = dequantized_names(quantized)
    assert names == {"x": "x.dequantized#2", "r": "r.dequantized", "y": "y"}


# The command


def net(folder: Path, count: int) -> tuple[Path, Path]:
    """A model and so many samples, as files."""
    onnx.save(model_of(TWO_CONVS, weights_of()), folder / "net.onnx")
    return folder / "net.onnx", save_feeds(folder / "samples.npz", feeds(count, 0))


@pytest.mark.parametrize(("count", "used"), [(12, 2), (8, 8)])
def test_the_samples_are_those_held_out(count: int, used: int, tmp_path: Path) -> None:
    model, samples = net(tmp_path, count)
    recipe = make_recipe(model=model, calib=samples, method="min-max", mixed="off", seed=5)
    found = quantize_file(recipe.with_options(explain=True), tmp_path / "q.onnx")
    ready = ready_model(model)
    calib = ready.samples(samples, recipe.preprocessing, None, recipe.run.seed)
    few = calib.split(used, recipe.run.seed)[1] if used < count else calib
    quantized = load_model(found.result.path)
    assert found.errors == error_report(ready.model, quantized, found.result.plan, few)


def quantized_by_command(folder: Path, *more: str) -> str:
    model, samples = net(folder, 8)
    line = [str(model), "--calib", str(samples), "-o", str(folder / "q.onnx"), "--quiet", *more]
    done = CliRunner().invoke(app, [*line, "--method", "min-max"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_the_keys_of_the_document(tmp_path: Path) -> None:
    errors = json.loads(quantized_by_command(tmp_path, "--explain", "--json"))["sensitivity"]
    assert all(list(one) == [field.name for field in fields(TensorError)] for one in errors)
    assert sorted(one["kind"] for one in errors) == ["activation"] * 3 + ["weight"] * 2
    assert json.loads(quantized_by_command(tmp_path, "--json"))["sensitivity"] == []


def test_the_table(tmp_path: Path) -> None:
    text = quantized_by_command(tmp_path, "--explain")
    _, _, table = text.partition("error of each quantized tensor, worst alone first\n")
    headings, _, *rows = table.splitlines()
    assert headings.split() == ["tensor", "op", "kind", "alone", "dB", "accumulated", "dB", "range"]
    assert len(rows) == 5
    alone = [float(row.split()[3]) for row in rows]
    assert alone == sorted(alone)
    assert [row.split()[1:3] for row in rows if row.startswith("x ")] == [["Input", "activation"]]


def test_a_table_of_many(capsys: pytest.CaptureFixture[str]) -> None:
    known = [
        TensorError(f"t{i}", "activation", "Relu", 20.0 + i, 30, 0, 6, 0.02) for i in range(22)
    ]
    show_errors([*known, replace(known[0], name="late", alone_db=None)])
    text = capsys.readouterr().out
    assert "t19 " in text
    assert "t20 " not in text
    assert "3 more" in text
    assert "1 tensors were not measured alone" in text
    show_errors([replace(known[0], alone_db=np.inf), replace(known[0], alone_db=None)])
    rows = capsys.readouterr().out.splitlines()[3:5]
    assert [row.split()[3] for row in rows] == ["infinite", "-"]


def test_the_simulator_has_lost_as_much_as_the_intended_model(tmp_path: Path) -> None:
    model, samples = net(tmp_path, 12)
    recipe = make_recipe(model=model, calib=samples, method="min-max", mixed="off")
    errors = quantize_file(recipe.with_options(simulator=True), tmp_path / "q.onnx").errors
    shown = [one for one in errors if one.simulated_db is not None]
    assert {one.name for one in shown} == {
        one.name for one in errors if one.kind == "activation" and one.operator != "Input"
    }
    for one in shown:
        assert one.simulated_db == pytest.approx(one.accumulated_db, abs=1)
    show_errors(errors)
