"""Models of a fixed batch above 1: samples fill it, and each counts on its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from graphs import model_of
from rockpress.accuracy.compare import compare
from rockpress.accuracy.metrics.metric_table import bind_metric
from rockpress.accuracy.preprocess.preprocess_audit import audit_preprocess
from rockpress.accuracy.runners import run_onnxruntime, sample_rows
from rockpress.calibration_data.image_inputs import preprocess_for
from rockpress.calibration_data.preprocessing import Preprocessing
from rockpress.calibration_data.samples import Samples, open_samples
from rockpress.core.errors import ModelError, OptionError, SamplesError
from rockpress.core.session import Session
from rockpress.pipeline.options.prune_options import PruneOptions
from rockpress.pipeline.samples.task_metric import judge_for
from rockpress.pipeline.tasks.distilling import split_for_pruning
from rockpress.pipeline.tasks.held_out import held_out
from samples import labelled_images, pixels, save_images

Array = NDArray[Any]
COUNT, BATCH = 10, 4
WEIGHTS = {"w": (5, 3, 8, 8), "b": (5,)}


def classifier(batch: int | str) -> Any:
    text = f"""(float[{batch},3,8,8] x) => (float[{batch},5] y) {{
        h = Conv (x, w, b) y = Flatten (h) }}"""
    return model_of(text, WEIGHTS)


@pytest.fixture
def tensors(tmp_path: Path) -> Path:
    values = np.random.default_rng(0).normal(size=(COUNT, 3, 8, 8)).astype(np.float32)
    labels = np.random.default_rng(1).integers(0, 5, COUNT)
    np.savez(tmp_path / "t.npz", x=values, labels=labels)
    return tmp_path / "t.npz"


def opened(path: Path, batch: int = BATCH) -> Samples:
    return open_samples(path, {"x": (batch, 3, 8, 8)})


def values_of(path: Path) -> Array:
    values: Array = np.load(path)["x"]
    return values


def test_a_batch_is_a_sample_and_those_after_it(tensors: Path) -> None:
    samples, values = opened(tensors), values_of(tensors)
    assert len(samples) == COUNT and len(list(samples)) == COUNT
    np.testing.assert_array_equal(samples.feeds(1)["x"], values[1:5])
    np.testing.assert_array_equal(samples.feeds(8)["x"], values[[8, 9, 0, 1]])


def test_whole_batches_hold_every_sample_once_and_the_last_is_filled_up(tensors: Path) -> None:
    groups, values = opened(tensors).grouped(), values_of(tensors)
    fed = np.concatenate([feeds["x"] for feeds in groups])
    np.testing.assert_array_equal(fed, values[[*range(10), 0, 1]])
    assert groups.grouped() is groups and groups.digest() != opened(tensors).digest()
    part = groups.take(2, seed=1)
    assert len(part) == 2  # some of the same batches
    whole = [feeds["x"].tolist() for feeds in groups]
    assert all(feeds["x"].tolist() in whole for feeds in part)


def test_a_fixed_batch_gives_what_a_batch_of_one_gives(tensors: Path) -> None:
    (expected,) = run_onnxruntime(classifier(1), opened(tensors, 1))
    (outputs,) = run_onnxruntime(classifier(BATCH), opened(tensors))
    np.testing.assert_allclose(outputs, expected, rtol=1e-5)
    labels = opened(tensors).labels
    scores = compare([outputs], [outputs], labels), compare([expected], [expected], labels)
    assert scores[0].baseline_value == scores[1].baseline_value
    assert scores[0].samples == COUNT
    # as the simulator gives them: batch by batch
    groups = opened(tensors).grouped()
    by_batch = np.stack([Session(classifier(BATCH)).run(feeds)[0] for feeds in groups])
    (rows,) = sample_rows([by_batch], opened(tensors))
    np.testing.assert_allclose(rows, expected, rtol=1e-5)
    (first,) = sample_rows([by_batch], groups)
    np.testing.assert_allclose(first, expected[::BATCH], rtol=1e-5)


def test_a_free_batch_stays_one(tensors: Path) -> None:
    model = classifier("batch")
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_value == 1
    samples = opened(tensors, 1)
    assert samples.batch == 1 and samples.grouped() is samples


def test_whole_batches_may_be_the_samples(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(3, BATCH, 3, 8, 8)).astype(np.float32)
    np.savez(tmp_path / "b.npz", x=values)
    samples = opened(tmp_path / "b.npz")
    assert samples.batch == 1 and len(samples) == 3
    np.testing.assert_array_equal(samples.feeds(2)["x"], values[2])
    (outputs,) = run_onnxruntime(classifier(BATCH), samples)
    assert outputs.shape == (3, BATCH, 5)


def test_images_fill_a_batch_too(tmp_path: Path) -> None:
    folder = save_images(tmp_path / "i", (pixels(9, 7, 3, seed=seed) for seed in range(5)))
    samples, single = opened(folder), opened(folder, 1)
    expected = np.concatenate([single.feeds(index)["x"] for index in (3, 4, 0, 1)])
    np.testing.assert_array_equal(samples.feeds(3)["x"], expected)
    assert samples.npu_preprocess is None and samples.picture(3) is not None
    np.testing.assert_array_equal(samples.npu_feeds(3)["x"], expected)


def test_a_batch_of_pixels_cannot_be_built_into_a_model() -> None:
    with pytest.raises(SamplesError, match="takes a batch of 4 images"):
        preprocess_for({"x": (BATCH, 3, 8, 8)}, Path("m.onnx"), Preprocessing())


def test_samples_that_are_held_out_are_in_no_batch_to_learn_from(tmp_path: Path) -> None:
    values = np.arange(60, dtype=np.float32).reshape(-1, 1, 1, 1) + np.zeros((60, 3, 8, 8), "f")
    np.savez(tmp_path / "t.npz", x=values)
    learning, unseen = held_out(opened(tmp_path / "t.npz"), seed=0)
    assert unseen is not None and len(learning) == -(-(60 - len(unseen)) // BATCH)
    shown = [
        {int(row[0, 0, 0]) for feeds in part for row in feeds["x"]} for part in (learning, unseen)
    ]
    assert not shown[0] & shown[1] and len(shown[0] | shown[1]) == 60


def test_the_metric_judges_a_sample_by_its_own_row(tensors: Path) -> None:
    model, samples = classifier(BATCH), opened(tensors)
    judge, warnings = judge_for(model, samples, bind_metric("top1"))
    assert judge is not None and warnings == ()
    assert samples.labels is not None
    (outputs,) = run_onnxruntime(model, samples)
    expected = outputs.argmax(axis=1) == samples.labels.classes()
    session = Session(model)
    scores = [judge.score(i, session.run(samples.feeds(i))) for i in range(COUNT)]
    assert scores == expected.tolist()


def test_the_preprocessing_is_tried_on_each_sample(tmp_path: Path) -> None:
    folder = labelled_images(tmp_path / "l", "abcde", 5)
    of_batches, of_samples = (
        audit_preprocess(classifier(batch), opened(folder, batch), bind_metric("top1"))
        for batch in (BATCH, 1)
    )
    assert of_batches == of_samples and of_batches.samples == 25


def test_an_output_without_rows_of_samples_is_refused(tensors: Path) -> None:
    text = f"""(float[{BATCH},3,8,8] x) => (float[1,5,1,1] y) {{
        h = Conv (x, w, b) y = ReduceMean <axes = [0]> (h) }}"""
    with pytest.raises(ModelError, match="no row for each of the 4 samples of a batch"):
        run_onnxruntime(model_of(text, WEIGHTS), opened(tensors))


def test_distilling_is_not_for_a_fixed_batch(tensors: Path) -> None:
    with pytest.raises(OptionError, match="not for a model with a batch of 4"):
        split_for_pruning(opened(tensors), PruneOptions(recover="distill"), 0)
