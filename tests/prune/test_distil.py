"""Distillation as far as it goes without PyTorch: what is refused, chosen, kept and told."""

from __future__ import annotations

import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from commands import Run
from graphs import Weights, model_of
from rockpress.calibration_data.bundled import CALIBRATION, DEMO_PREPROCESS, MODEL, sample_path
from rockpress.calibration_data.preprocessing import Preprocessing
from rockpress.calibration_data.samples import Samples
from rockpress.core.errors import ModelError, OptionError, OutputError, PackageError
from rockpress.core.graphs.graph import Graph
from rockpress.core.results.pruning_figures import Distillation, PruningFigure
from rockpress.core.training import pytorch as module
from rockpress.core.training.output_loss import ComparedTensor, compared_tensors
from rockpress.core.training.schedule import Schedule
from rockpress.core.training.stored_samples import batch_size, outputs_of, store_samples
from rockpress.core.training.torch_graph import trainable
from rockpress.core.training.torch_shape_ops import _source_positions
from rockpress.pipeline.caching.stage_cache import Cache
from rockpress.pipeline.options.prune_options import PruneOptions
from rockpress.pipeline.recipes.recipe import make_recipe
from rockpress.pipeline.samples.ready_model import ready_model
from rockpress.pipeline.tasks.distilling import (
    distillation_warnings,
    require_distilling,
    split_for_pruning,
)
from rockpress.prune.distillation.distil import require_distillable
from rockpress.report.html.pruning_part import pruning_card
from rockpress.report.text.pruning_text import distillation_text
from sample_reports import GOOD

FOUND = Distillation(True, "agreement", 0.08, 0.02, 0.9, 0.95, 800, 300.0, 192, 64)


@pytest.fixture
def no_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)


def demo_samples(count: int) -> Samples:
    how = Preprocessing(mean=DEMO_PREPROCESS.mean, std=DEMO_PREPROCESS.std)
    return ready_model(sample_path(MODEL)).samples(sample_path(CALIBRATION), how, count)


@pytest.mark.parametrize(
    ("command", "pruning"),
    [
        ("prune", "--budget cycles=-30%"),
        ("run", "--prune cycles=-30%"),
        ("run", "--sparsity 2:4 --target rk3576"),
    ],
)
def test_distillation_without_torch_ends_at_once(
    command: str,
    pruning: str,
    no_torch: None,
    tmp_path: Path,
    rockpress: Run,
) -> None:
    """Before samples are read: the one that is named here would be an error of its own."""
    out = tmp_path / ("o.onnx" if command == "prune" else "o")
    options = [*pruning.split(), "--calib", str(tmp_path / "none"), "-o", str(out)]
    code, _, err = rockpress(command, str(sample_path(MODEL)), *options, "--recover", "distill")
    assert code == 1
    assert "--recover distill needs PyTorch" in err
    assert "hint: " in err
    assert not out.exists()


def test_an_operator_that_cannot_be_trained_is_named_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: name)
    text = """(float[3,1,2] x) => () {
        y = LSTM <hidden_size = 2> (x, w, r)
        z = LSTM <hidden_size = 2> (x, w, r) }"""
    model = model_of(text, prepared=False)
    with pytest.raises(ModelError, match=r"these operators: LSTM \(2\)") as caught:
        require_distillable(model)
    assert "--recover least-squares" in caught.value.hint
    require_distilling(PruneOptions(), model)  # not asked for


def test_torch_is_asked_for_before_operators(no_torch: None) -> None:
    recipe = make_recipe(Path("m.onnx"), recover="distill")
    with pytest.raises(PackageError):
        require_distilling(recipe.prune, onnx.load(str(sample_path(MODEL))))


@pytest.mark.parametrize(
    ("count", "max_drop", "held_out"), [(32, None, 8), (256, None, 64), (40, 0.02, 20)]
)
def test_samples_held_out_are_not_pruned_or_trained_by(
    count: int, max_drop: float | None, held_out: int
) -> None:
    recipe = make_recipe(Path("m.onnx"), recover="distill", max_drop=max_drop)
    seen, apart = split_for_pruning(demo_samples(count), recipe.prune, 0)
    assert apart is not None
    assert (len(seen), len(apart)) == (count - held_out, held_out)
    assert not set(seen.indices) & set(apart.indices)
    assert (
        split_for_pruning(
            demo_samples(count), recipe.with_options(max_drop=None, recover="none").prune, 0
        )[1]
        is None
    )


def test_too_few_samples() -> None:
    recipe = make_recipe(Path("m.onnx"), recover="distill")
    with pytest.raises(OptionError, match=r"--recover distill needs at least 32 .* there are 31"):
        split_for_pruning(demo_samples(31), recipe.prune, 0)
    with pytest.raises(OptionError, match=r"--max-drop needs at least 16 .* half of them"):
        split_for_pruning(demo_samples(15), recipe.with_options(max_drop=0.1).prune, 0)


def test_weights_are_trained_and_constants_are_not() -> None:
    text = """(float[1,2,2,2] x) => (y) {
        c = Conv (x, w, b)
        d = Add (c, three)
        e = Mul (d, scale)
        f = Reshape (e, shape)
        y = MatMul (f, m) }"""
    weights: Weights = {
        "w": np.ones((2, 2, 1, 1)),
        "b": np.zeros(2),
        "three": 3.0,
        "scale": np.ones((2, 1, 1)),
        "m": np.ones((8, 2)),
        "shape": [1, 8],
    }
    model = model_of(text, weights, prepared=False)
    assert trainable(Graph(model)) == ["w", "b", "scale", "m"]


@pytest.mark.parametrize(
    ("last", "wanted"),
    [
        ("Softmax (f)", ComparedTensor("f", classes=True)),
        ("Softmax <axis = 0> (f)", ComparedTensor("y", classes=False)),
        ("Sigmoid (f)", ComparedTensor("y", classes=False)),
        ("Add (f, f)", ComparedTensor("y", classes=True)),
    ],
)
def test_scores_of_classes_are_compared_before_the_softmax(
    last: str, wanted: ComparedTensor
) -> None:
    text = f"(float[1,2,2,2] x) => (y) {{ f = Flatten (x) y = {last} }}"
    model = model_of(text, prepared=False)
    assert compared_tensors(model) == [wanted]


def test_the_schedule_ends_with_the_steps_or_with_the_time() -> None:
    plan = Schedule(steps=100, seconds=10)
    assert plan.done(50, 1.0) == 0.5
    assert plan.done(1, 5.0) == 0.5
    assert plan.done(1, 11.0) == plan.done(101, 0.0) == 1
    rates = [plan.rate(step, 0.0) for step in range(101)]
    assert rates[0] == 0
    assert rates[100] == pytest.approx(0)
    assert max(rates) == rates[5]
    assert plan.rate(1, 5.0) == plan.rate(50, 0.0)
    counted = Schedule(steps=100, seconds=math.inf)
    assert counted.done(50, 1e9) == 0.5
    assert counted.rate(0, 1e9) == 0


def test_samples_are_decoded_once_onto_disk(tmp_path: Path) -> None:
    samples = demo_samples(5)
    rows = store_samples(samples, tmp_path)
    name = next(iter(rows.feeds))
    assert isinstance(rows.feeds[name], np.memmap)
    assert np.array_equal(rows.feeds[name], np.stack([one[name] for one in samples]))
    assert [len(one[name]) for one in rows.batches(2)] == [2, 2, 1]
    model = ready_model(sample_path(MODEL)).model
    assert [one.shape for one in outputs_of(model, rows)] == [(5, 10)]


def test_samples_that_do_not_fit_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Usage:
        free = 1000

    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage)
    with pytest.raises(OutputError, match=r"5 decoded samples take 0\.0 GB"):
        store_samples(demo_samples(5), tmp_path)


def test_a_mini_batch_fits_in_memory() -> None:
    model = ready_model(sample_path(MODEL)).model
    assert batch_size(model) == 16
    numbers = sum(
        int(np.prod(Graph(model).shapes[name])) for node in model.graph.node for name in node.output
    )
    assert numbers * 8 * 16 < 1 << 30


def test_the_effect_of_training_is_told() -> None:
    assert distillation_warnings(FOUND) == distillation_warnings(None) == []
    poor = replace(FOUND, kept=False)
    (notice,) = distillation_warnings(poor)
    assert notice.code == "pruning-distillation"
    assert "on 64 held-out samples" in notice.text
    assert "not kept" in distillation_text(poor)
    figure = PruningFigure(
        *(0.5, 0.5, 0.5, "macs", 0.5, ""), curve=(), groups=(), distillation=FOUND
    )
    assert "agreement 0.900 to 0.950" in str(pruning_card(replace(GOOD, pruning=figure)))


def test_files_of_a_stopped_stage_stay_until_it_is_done(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    with pytest.raises(KeyboardInterrupt), cache.unfinished("distill", {"a": 1}) as place:
        (place / "checkpoint").write_text("here")
        raise KeyboardInterrupt
    assert len(cache.entries()) == 1
    with cache.unfinished("distill", {"a": 2}) as other:
        assert other != place
    with pytest.raises(KeyboardInterrupt), cache.unfinished("distill", {"a": 3}):
        raise KeyboardInterrupt
    assert [entry.folder for entry in cache.entries()] == [place]
    with Cache(tmp_path, fresh=True).unfinished("distill", {"a": 1}) as again:
        assert not (again / "checkpoint").exists()
    assert cache.entries() == []


def test_a_divergence_that_is_no_number_is_not_zero() -> None:
    from rockpress.prune.search.divergence import divergence

    logits = np.array([[2.0, 0.0]])
    assert np.isnan(divergence([logits], [logits * np.nan]))


def test_coordinates_that_cannot_be_trained_through_are_named() -> None:
    how = {"coordinate_transformation_mode": "tf_crop_and_resize"}
    with pytest.raises(ModelError, match="a Resize with the coordinates tf_crop_and_resize"):
        _source_positions(how, np.arange(4.0), 2, 4, 2.0)
