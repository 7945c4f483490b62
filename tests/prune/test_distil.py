"""Distillation as far as it goes without PyTorch: what is refused, chosen, kept and told."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from rockpress.calibration_data.bundled import CALIBRATION, DEMO_PREPROCESS, MODEL, sample_path
from rockpress.calibration_data.samples import Samples
from rockpress.core.errors import ModelError, OptionError, OutputError, PackageError
from rockpress.core.graphs.graph import Graph
from rockpress.core.results.pruning_figures import PruningFigure
from rockpress.pipeline.caching.stage_cache import Cache
from rockpress.pipeline.recipes.recipe import Preprocessing, Recipe
from rockpress.pipeline.samples.ready_model import ready_model
from rockpress.pipeline.stages.distilling import (
    distillation_notices,
    parted,
    require_distilling,
)
from rockpress.prune.distillation import distil as module
from rockpress.prune.distillation.distil_data import batch_size, outputs_of, stored
from rockpress.prune.distillation.distil_loss import Compared, compared_of
from rockpress.prune.distillation.distil_training import Schedule
from rockpress.prune.distillation.torch_graph import require_known, trainable
from rockpress.prune.distillation.torch_shape_ops import _places
from rockpress.prune.prune_result import Distillation
from rockpress.report.html.pruning_part import pruning_card
from rockpress.report.text.pruning_text import distillation_text

FOUND = Distillation(True, "agreement", 0.08, 0.02, 0.9, 0.95, 800, 300.0, 192, 64)


@pytest.fixture
def no_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)


def demo_samples(count: int) -> Samples:
    how = Preprocessing(mean=DEMO_PREPROCESS.mean, std=DEMO_PREPROCESS.std)
    return ready_model(sample_path(MODEL)).samples(sample_path(CALIBRATION), how, count)


@pytest.mark.parametrize("command", ["prune", "run"])
def test_without_torch_it_ends_at_once(
    command: str,
    no_torch: None,
    tmp_path: Path,
    rockpress: Callable[..., tuple[int, str, str]],
) -> None:
    """Before samples are read: the one that is named here would be an error of its own."""
    out = tmp_path / ("o.onnx" if command == "prune" else "o")
    budget = "--budget" if command == "prune" else "--prune"
    options = [budget, "cycles=-30%", "--calib", str(tmp_path / "none"), "-o", str(out)]
    code, _, err = rockpress(command, str(sample_path(MODEL)), *options, "--recover", "distill")
    assert code == 1
    assert "--recover distill needs PyTorch" in err
    assert "hint: " in err
    assert not out.exists()


def test_an_operator_that_cannot_be_trained_is_named_at_once() -> None:
    lstm = helper.make_node("LSTM", ["x", "w", "r"], ["y"], hidden_size=2)
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, (3, 1, 2))
    graph = helper.make_graph([lstm, lstm], "g", [value], [])
    model = helper.make_model(graph)
    with pytest.raises(ModelError, match=r"these operators: LSTM \(2\)") as caught:
        require_known(model)
    assert "--recover least-squares" in caught.value.hint
    require_distilling(Recipe(Path("m.onnx")), model)  # not asked for


def test_torch_is_asked_for_before_operators(no_torch: None) -> None:
    recipe = Recipe(Path("m.onnx"), recover="distill")
    with pytest.raises(PackageError):
        require_distilling(recipe, onnx.load(str(sample_path(MODEL))))


@pytest.mark.parametrize(
    ("count", "max_drop", "held_out"), [(32, None, 8), (256, None, 64), (40, 0.02, 20)]
)
def test_what_is_held_out_is_neither_pruned_nor_trained_by(
    count: int, max_drop: float | None, held_out: int
) -> None:
    recipe = Recipe(Path("m.onnx"), recover="distill", max_drop=max_drop)
    seen, apart = parted(demo_samples(count), recipe)
    assert apart is not None
    assert (len(seen), len(apart)) == (count - held_out, held_out)
    assert not set(seen.indices) & set(apart.indices)
    assert parted(demo_samples(count), replace(recipe, max_drop=None, recover="none"))[1] is None


def test_too_few_samples() -> None:
    recipe = Recipe(Path("m.onnx"), recover="distill")
    with pytest.raises(OptionError, match=r"--recover distill needs at least 32 .* there are 31"):
        parted(demo_samples(31), recipe)
    with pytest.raises(OptionError, match=r"--max-drop needs at least 16 .* half of them"):
        parted(demo_samples(15), replace(recipe, max_drop=0.1))


def test_weights_are_trained_and_constants_are_not() -> None:
    def constant(value: float, *shape: int) -> np.ndarray:  # type: ignore[type-arg]
        return np.full(shape, value, np.float32)

    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["c"]),
        helper.make_node("Add", ["c", "three"], ["d"]),
        helper.make_node("Mul", ["d", "scale"], ["e"]),
        helper.make_node("Reshape", ["e", "shape"], ["f"]),
        helper.make_node("MatMul", ["f", "m"], ["y"]),
    ]
    weights = {
        "w": constant(1, 2, 2, 1, 1),
        "b": constant(0, 2),
        "three": constant(3),
        "scale": constant(1, 2, 1, 1),
        "m": constant(1, 8, 2),
        "shape": np.array([1, 8], np.int64),
    }
    assert trainable(Graph(graph_of(nodes, weights))) == ["w", "b", "scale", "m"]


def graph_of(nodes: list[onnx.NodeProto], weights: dict[str, np.ndarray]) -> ModelProto:  # type: ignore[type-arg]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 2, 2, 2))],
        [onnx.ValueInfoProto(name="y")],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return onnx.shape_inference.infer_shapes(model)


@pytest.mark.parametrize(
    ("last", "wanted"),
    [
        (helper.make_node("Softmax", ["f"], ["y"]), Compared("f", classes=True)),
        (helper.make_node("Softmax", ["f"], ["y"], axis=0), Compared("y", classes=False)),
        (helper.make_node("Sigmoid", ["f"], ["y"]), Compared("y", classes=False)),
        (helper.make_node("Add", ["f", "f"], ["y"]), Compared("y", classes=True)),
    ],
)
def test_scores_of_classes_are_compared_before_the_softmax(
    last: onnx.NodeProto, wanted: Compared
) -> None:
    model = graph_of([helper.make_node("Flatten", ["x"], ["f"]), last], {})
    assert compared_of(model) == [wanted]


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


def test_samples_are_decoded_once_onto_disk(tmp_path: Path) -> None:
    samples = demo_samples(5)
    rows = stored(samples, tmp_path)
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
        stored(demo_samples(5), tmp_path)


def test_a_mini_batch_fits_in_memory() -> None:
    model = ready_model(sample_path(MODEL)).model
    assert batch_size(model) == 16
    numbers = sum(
        int(np.prod(Graph(model).shapes[name])) for node in model.graph.node for name in node.output
    )
    assert numbers * 8 * 16 < 1 << 30


def test_what_training_did_is_told() -> None:
    assert distillation_notices(FOUND) == distillation_notices(None) == []
    poor = replace(FOUND, kept=False)
    (notice,) = distillation_notices(poor)
    assert notice.code == "pruning-distillation"
    assert "on 64 held-out samples" in notice.text
    assert "not kept" in distillation_text(poor)
    figure = PruningFigure(
        *(0.5, 0.5, 0.5, "macs", 0.5, ""), curve=(), groups=(), distillation=FOUND
    )
    assert "agreement 0.900 to 0.950" in str(pruning_card(figure))


def test_what_a_stopped_stage_left_stays_until_it_is_done(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    with pytest.raises(KeyboardInterrupt), cache.unfinished("distill", {"a": 1}) as place:
        place.mkdir(parents=True)
        (place / "checkpoint").write_text("here")
        raise KeyboardInterrupt
    assert len(cache.entries()) == 1
    with cache.unfinished("distill", {"a": 2}) as other:
        assert other != place
    with Cache(tmp_path, fresh=True).unfinished("distill", {"a": 1}) as again:
        assert not again.exists()
    assert cache.entries() == []


def test_a_divergence_that_is_no_number_is_not_zero() -> None:
    from rockpress.prune.search.divergence import divergence

    logits = np.array([[2.0, 0.0]])
    assert np.isnan(divergence([logits], [logits * np.nan]))


def test_coordinates_that_cannot_be_trained_through_are_named() -> None:
    how = {"coordinate_transformation_mode": "tf_crop_and_resize"}
    with pytest.raises(ModelError, match="a Resize with the coordinates tf_crop_and_resize"):
        _places(how, np.arange(4.0), 2, 4, 2.0)
