from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from rockpress.accuracy.compare import compare
from rockpress.calibration_data.sources.labels import Labels
from rockpress.core.errors import ModelError, OptionError, SamplesError

COUNT = 200


def classifier(seed: int = 0, right: float = 0.9) -> tuple[NDArray[Any], Labels]:
    """Outputs (COUNT, 10) whose largest class is the label for a share of samples."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 10, COUNT)
    outputs = generator.uniform(0, 1, (COUNT, 10)).astype(np.float32)
    hits = generator.random(COUNT) < right
    outputs[np.arange(COUNT), labels] += np.where(hits, 2, 0).astype(np.float32)
    return outputs, Labels("class", labels)


def test_an_identical_candidate_keeps_everything() -> None:
    outputs, labels = classifier()
    result = compare([outputs], [outputs.copy()], labels)
    assert result.metric == "top1" and result.samples == COUNT
    assert result.baseline_value == result.candidate_value
    assert result.agreement == 1.0 and result.sqnr_db == math.inf
    assert result.retention is not None
    assert result.retention.value == 1 and result.retention.difference == 0
    assert result.retention.low is not None and result.retention.high is not None
    # not one of so many samples differs: that bounds how many others do
    assert 0.95 < result.retention.low < 1 < result.retention.high < 1.05
    assert result.mcnemar == 1
    assert result.changes is not None and not result.changes.lost + result.changes.gained


def test_a_worse_candidate_is_measured() -> None:
    outputs, labels = classifier()
    worse = outputs.copy()
    worse[:20] = np.roll(worse[:20], 1, axis=1)
    result = compare([outputs], [worse], labels)
    assert result.baseline_value is not None and result.candidate_value is not None
    assert result.baseline_value == (outputs.argmax(axis=1) == labels.classes()).mean()
    assert result.candidate_value == (worse.argmax(axis=1) == labels.classes()).mean()
    assert result.agreement == pytest.approx(0.9)
    assert result.retention is not None
    assert result.retention.value == pytest.approx(result.candidate_value / result.baseline_value)
    assert 0 < result.sqnr_db < 20


def test_agreement_without_labels_is_not_called_accuracy() -> None:
    outputs, _ = classifier()
    result = compare([outputs], [outputs + np.float32(0.001)], None)
    assert result.metric is None and result.retention is None
    assert result.baseline_value is None and result.candidate_value is None
    assert result.agreement == 1.0
    assert result.sqnr_db > 40


def test_agreement_is_left_out_where_there_are_no_classes() -> None:
    boxes = np.random.default_rng(0).random((5, 8, 4)).astype(np.float32)
    result = compare([boxes], [boxes * np.float32(1.01)], None)
    assert result.agreement is None
    assert result.sqnr_db == pytest.approx(40, abs=0.1)


def test_a_runner_may_add_axes_of_length_1() -> None:
    outputs, labels = classifier()
    result = compare([outputs], [outputs.reshape(COUNT, 10, 1, 1)], labels)
    assert result.agreement == 1.0 and result.sqnr_db == math.inf


def test_top5_and_a_seed() -> None:
    outputs, labels = classifier(right=0.5)
    worse = outputs[:, ::-1]
    first = compare([outputs], [worse], labels, "top5", seed=1)
    assert first == compare([outputs], [worse], labels, "top5", seed=1)
    assert first.baseline_value is not None and first.baseline_value > 0.6


def test_nan_in_the_baseline_is_an_error() -> None:
    good, labels = classifier()
    bad = good.copy()
    bad[[3, 7], 2] = np.nan
    for given in (labels, None):
        with pytest.raises(
            ModelError, match=r"the baseline model gives NaN in output 0 for 2 of 200 .* sample 3"
        ):
            compare([bad], [good], given)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_candidate_that_is_not_finite_is_dead_and_nothing_else_is_measured(value: float) -> None:
    good, labels = classifier()
    bad = good.copy()
    bad[3, 2] = value
    for given in (labels, None):
        result = compare([good], [bad], given)
        assert [part.finite for part in result.parts] == [False]
        assert not result.parts[0].is_alive and result.sqnr_db == -np.inf
        assert result.retention is None and result.agreement is None


@pytest.mark.parametrize(
    ("baseline", "candidate", "kind", "message"),
    [
        ([(5, 4)], [(4, 4)], SamplesError, "shape (5, 4) of the baseline, (4, 4) of the candidate"),
        ([(0, 4)], [(0, 4)], SamplesError, "shape (0, 4) of the baseline"),
        ([(5, 4)], [(5, 3)], ModelError, "shape (4,) in the baseline and (3,) in the candidate"),
        ([(5, 4, 3)], [(5, 3, 4)], ModelError, "output 0 has the shape (4, 3) in the baseline"),
        ([(5, 4)], [(5, 4), (5, 4)], ModelError, "has 1 outputs and the candidate 2"),
        ([], [], ModelError, "has 0 outputs and the candidate 0"),
    ],
)
def test_outputs_must_correspond(baseline: Any, candidate: Any, kind: Any, message: str) -> None:
    with pytest.raises(kind) as caught:
        compare([np.ones(one) for one in baseline], [np.ones(one) for one in candidate], None)
    assert message in caught.value.message and caught.value.hint


def test_labels_and_metric_must_fit() -> None:
    outputs, labels = classifier()
    classes = labels.classes()
    with pytest.raises(SamplesError, match="199 labels for the outputs of 200 samples"):
        compare([outputs], [outputs], labels.take(np.arange(199)))
    with pytest.raises(SamplesError, match="range from 0 to 10, but the model has 10 classes"):
        compare([outputs], [outputs], Labels("class", np.append(classes[1:], 10)))
    with pytest.raises(OptionError, match="the metric 'f1' is not known"):
        compare([outputs], [outputs], labels, "f1")
    with pytest.raises(OptionError, match="top5 of 3 classes"):
        compare([outputs[:, :3]], [outputs[:, :3]], Labels("class", classes % 3), "top5")
    with pytest.raises(SamplesError, match="the labels are boxes, but the metric is for classes"):
        compare([outputs], [outputs], Labels("boxes", (None,) * COUNT))


def test_the_samples_that_changed_are_told_worst_first() -> None:
    outputs, labels = classifier(right=1.0)
    worse = outputs.copy()
    worse[[30, 7]] = np.roll(worse[[30, 7]], 1, axis=1)
    result = compare([outputs], [worse], labels)
    assert result.changes is not None
    assert result.changes.lost == (7, 30) and result.changes.gained == ()
    first = result.changes.worst[0]
    label = int(labels.classes()[7])
    assert (first.index, first.label, first.baseline) == (7, str(label), str(label))
    assert first.candidate == str((label + 1) % 10)
    assert (first.baseline_score, first.candidate_score) == (1, 0)
    assert result.details["classes"][label]["candidate"] < 1
    turned = compare([worse], [outputs], labels)
    assert turned.changes is not None and turned.changes.gained == (7, 30)
