"""Voice activity: the area under the ROC curve against scikit-learn's, and F1."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import f1_score, roc_auc_score

from rockpress.accuracy.compare import compare
from rockpress.accuracy.metrics.metric_table import bind_metric, find_metric
from rockpress.calibration_data.sources.labels import Labels
from rockpress.core.errors import OptionError, SamplesError

Array = NDArray[Any]


def frames(samples: int, count: int, seed: int = 0) -> tuple[Array, Array]:
    """Flags and probabilities (samples, count), rounded so that many are equal."""
    random = np.random.default_rng(seed)
    speech = random.random((samples, count)) < 0.3
    values = np.clip(random.normal(0.35 + 0.3 * speech, 0.2), 0, 1).round(1)
    return speech.astype(np.int64), values


@pytest.mark.parametrize("count", [1, 50])
def test_the_area_is_that_of_scikit_learn_with_ties_halved(count: int) -> None:
    speech, values = frames(200, count)
    labels = Labels("vector", speech.astype(np.float64))
    measured = find_metric("vad").measure(find_metric("vad").predict([values]), labels)
    assert measured.value == pytest.approx(roc_auc_score(speech.ravel(), values.ravel()))
    drawn = np.random.default_rng(1).integers(0, 200, (5, 200))
    counts = np.stack([np.bincount(rows, minlength=200) for rows in drawn])
    expected = [roc_auc_score(speech[rows].ravel(), values[rows].ravel()) for rows in drawn]
    np.testing.assert_allclose(measured.resampled(counts), expected)


def test_f1_is_that_of_scikit_learn_at_the_threshold() -> None:
    speech, values = frames(60, 40, 2)
    labels = Labels("vector", speech.astype(np.float64))
    metric = find_metric("vad-f1", {"threshold": "0.4"})
    measured = metric.measure(metric.predict([values[:, None]]), labels)
    assert measured.value == pytest.approx(f1_score(speech.ravel(), values.ravel() >= 0.4))


@pytest.mark.parametrize("logits", [False, True])
def test_speech_is_what_the_silent_classes_leave(logits: bool) -> None:
    random = np.random.default_rng(3)
    scores = random.normal(size=(2, 7, 5))
    shares = np.exp(scores) / np.exp(scores).sum(axis=2, keepdims=True)
    metric = find_metric("vad", {"silence": "0,3"})
    made = metric.predict([scores if logits else shares])
    np.testing.assert_allclose(made, 1 - shares[..., [0, 3]].sum(axis=2))


def test_a_sample_may_be_one_frame_with_a_class_for_its_label() -> None:
    outputs = np.array([[0.9], [0.2], [0.6], [0.4]])
    labels = Labels("class", np.array([1, 0, 0, 1]))
    worse = np.array([[0.1], [0.2], [0.6], [0.4]])
    result = compare([outputs], [worse], labels, bind_metric("vad"))
    assert result.baseline_value == 0.75 and result.candidate_value == 0.25
    assert result.agreement == 0.75
    assert result.changes is not None and result.changes.worst[0].label == "100% speech"


@pytest.mark.parametrize(
    ("options", "labels", "message"),
    [
        ({}, np.zeros((2, 7)), "all 14 frames are labelled alike"),
        ({}, np.full((2, 7), 0.5), "neither 0 nor 1"),
        ({}, np.eye(2, 6), "6 labels for 7 frames"),
    ],
)
def test_labels_that_do_not_fit_are_refused(
    options: dict[str, str], labels: Array, message: str
) -> None:
    metric = find_metric("vad", options)
    with pytest.raises(SamplesError, match=message):
        metric.measure(metric.predict([np.zeros((2, 7))]), Labels("vector", labels))


@pytest.mark.parametrize("silence", ["5", "a", "0,,1"])
def test_classes_that_the_output_has_not_are_refused(silence: str) -> None:
    with pytest.raises(OptionError, match="the output has 5 classes"):
        find_metric("vad", {"silence": silence}).predict([np.zeros((2, 7, 5))])
