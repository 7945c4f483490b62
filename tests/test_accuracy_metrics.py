from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from rockpress.accuracy.metrics import (
    METRICS,
    Metric,
    agreement,
    find_metric,
    score_samples,
    top_k,
)
from rockpress.core.errors import ModelError, OptionError, SamplesError
from rockpress.core.similarity import sqnr_db

OUTPUTS = np.array([[0.1, 0.6, 0.3], [0.5, 0.2, 0.3], [0.2, 0.3, 0.5]])
LABELS = np.array([1, 2, 0])


def test_top_k_scores_every_sample() -> None:
    assert top_k(OUTPUTS, LABELS, 1).tolist() == [1, 0, 0]
    assert top_k(OUTPUTS, LABELS, 2).tolist() == [1, 1, 0]
    assert top_k(OUTPUTS, LABELS, 3).tolist() == [1, 1, 1]
    assert top_k(OUTPUTS, LABELS, 1).dtype == np.float64


@pytest.mark.parametrize("shape", [(3, 3, 1, 1), (3, 1, 3), (3, 1, 1, 3)])
def test_axes_of_length_1_are_dropped(shape: tuple[int, ...]) -> None:
    assert top_k(OUTPUTS.reshape(shape), LABELS, 1).tolist() == [1, 0, 0]


def test_of_equal_outputs_only_as_many_as_k_count() -> None:
    equal = np.zeros((3, 3))
    assert top_k(equal, np.array([0, 1, 2]), 1).tolist() == [1, 0, 0]
    assert top_k(equal, np.array([0, 1, 2]), 2).tolist() == [1, 1, 0]


@given(
    outputs=hnp.arrays(np.float32, (7, 6), elements=st.integers(-3, 3).map(float)),
    labels=hnp.arrays(np.int64, 7, elements=st.integers(0, 5)),
)
def test_top1_is_argmax_and_more_k_never_scores_less(outputs: Any, labels: Any) -> None:
    np.testing.assert_array_equal(top_k(outputs, labels, 1), outputs.argmax(axis=1) == labels)
    scores = np.stack([top_k(outputs, labels, k) for k in range(1, 7)])
    assert (np.diff(scores, axis=0) >= 0).all()
    assert (scores[-1] == 1).all()


@pytest.mark.parametrize(
    ("outputs", "labels", "message"),
    [
        (OUTPUTS, [0, 1, 3], "the labels range from 0 to 3, but the model has 3 classes"),
        (OUTPUTS, [0, -1, 2], "the labels range from -1 to 2"),
        (OUTPUTS, [0, 1], "labels of shape (2,) for the outputs of 3 samples"),
        (OUTPUTS, [[0, 1, 2]], "labels of shape (1, 3) for the outputs of 3 samples"),
        (np.zeros(3), [0, 0, 0], "the output of shape (3,) is not (N, classes)"),
        (np.zeros((3, 4, 5)), [0, 0, 0], "the output of shape (3, 4, 5) is not (N, classes)"),
        (np.zeros((0, 4)), [], "the output of shape (0, 4) is not (N, classes)"),
    ],
)
def test_labels_and_outputs_must_match(outputs: Any, labels: Any, message: str) -> None:
    with pytest.raises(SamplesError) as caught:
        top_k(outputs, np.array(labels, dtype=np.int64), 1)
    assert message in caught.value.message and caught.value.hint


@pytest.mark.parametrize("k", [0, 4])
def test_k_must_fit_the_classes(k: int) -> None:
    with pytest.raises(OptionError, match=f"top{k} of 3 classes says nothing"):
        top_k(OUTPUTS, LABELS, k)


def test_nan_is_not_a_prediction() -> None:
    with pytest.raises(ModelError, match="the outputs hold NaN"):
        top_k(np.array([[np.nan, 1.0]]), np.array([0]), 1)


def test_agreement_compares_the_largest_class() -> None:
    other = OUTPUTS * 7
    other[1] = [0, 9, 1]
    assert agreement(OUTPUTS, other).tolist() == [1, 0, 1]
    with pytest.raises(SamplesError, match=r"shapes \(3, 3\) and \(2, 3\) cannot be compared"):
        agreement(OUTPUTS, other[:2])


def test_sqnr_follows_its_definition() -> None:
    generator = np.random.default_rng(0)
    reference = generator.normal(size=(50, 7)).astype(np.float32)
    candidate = reference + generator.normal(scale=0.01, size=(50, 7)).astype(np.float32)
    exact = reference.astype(np.float64)
    noise = exact - candidate
    expected = 10 * math.log10((exact**2).sum() / (noise**2).sum())
    assert sqnr_db([reference], [candidate]) == pytest.approx(expected)
    assert 38 < expected < 42


def test_sqnr_is_that_of_the_worst_output() -> None:
    boxes, scores = np.full((2, 4), 600.0), np.full((2, 4), 0.5)
    lost = sqnr_db([boxes, scores], [boxes, np.zeros((2, 4))])
    assert lost == 0.0  # all of the scores are lost; the boxes must not hide it


@pytest.mark.parametrize(
    ("reference", "candidate", "expected"),
    [
        ([1.0, 2.0], [1.0, 2.0], math.inf),
        ([0.0, 0.0], [0.0, 0.0], math.inf),
        ([0.0, 0.0], [0.0, 1.0], -math.inf),
        ([-math.inf, 3.0], [-math.inf, 3.0], math.inf),
        ([-math.inf, 10.0], [-math.inf, 9.0], 20.0),
        ([5.0, 10.0], [math.inf, 10.0], -math.inf),
    ],
)
def test_sqnr_at_its_ends(reference: Any, candidate: Any, expected: float) -> None:
    assert sqnr_db([np.array([reference])], [np.array([candidate])]) == pytest.approx(expected)


def test_the_table_scores_the_first_output() -> None:
    assert set(METRICS) == {"top1", "top5"}
    wide = np.eye(6)
    for name, expected in (("top1", 1), ("top5", 5)):
        scores = score_samples(find_metric(name), [wide, np.zeros((6, 2))], np.array([4] * 6))
        assert scores.sum() == expected


def test_a_metric_may_come_from_a_module_of_the_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "rockpress_user_metric.py").write_text(
        "def error(outputs, labels):\n"
        "    return abs(outputs[0][:, 0] - labels)\n"
        "error.lower_is_better = True\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    metric = find_metric("rockpress_user_metric:error")
    assert metric.lower_is_better
    scores = score_samples(metric, [np.array([[1.0], [5.0]])], np.array([2, 2]))
    assert scores.tolist() == [1, 3]
    sys.modules.pop("rockpress_user_metric")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("map50", "the metric 'map50' is not known"),
        (":f", "the metric ':f' is not known"),
        ("no_such_module_at_all:f", "cannot be imported: No module named"),
        ("math:no_such_function", "cannot be imported: module 'math' has no attribute"),
    ],
)
def test_unknown_metrics_are_refused(name: str, message: str) -> None:
    with pytest.raises(OptionError) as caught:
        find_metric(name)
    assert message in caught.value.message and caught.value.hint


@pytest.mark.parametrize("result", [np.zeros(2), np.zeros(()), np.array([0.0, np.nan, 1.0])])
def test_a_metric_must_give_one_number_a_sample(result: NDArray[Any]) -> None:
    metric = Metric("mine", lambda outputs, labels: result)
    with pytest.raises(OptionError, match="the metric 'mine' gave"):
        score_samples(metric, [OUTPUTS], LABELS)
