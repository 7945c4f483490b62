from __future__ import annotations

import math
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from rockpress.accuracy.metrics.classification import agreement, top_k
from rockpress.accuracy.metrics.metric import Metric
from rockpress.accuracy.metrics.metric_names import metric_modules
from rockpress.accuracy.metrics.metric_table import bind_metric, find_metric
from rockpress.accuracy.metrics.user_metric import UserMetric
from rockpress.calibration_data.sources.labels import Labels
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


def test_equal_outputs_count_up_to_k_of_them() -> None:
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


def scores_of(metric: Metric, outputs: list[Any], labels: list[int]) -> list[float]:
    classes = Labels("class", np.array(labels, dtype=np.int64))
    scores: list[float] = metric.measure(metric.predict(outputs), classes).scores.tolist()
    return scores


def test_the_table_scores_the_first_output() -> None:
    assert {"top1", "top5"} <= set(metric_modules())
    wide = np.eye(6)
    for name, expected in (("top1", 1), ("top5", 5)):
        scores = scores_of(find_metric(name), [wide, np.zeros((6, 2))], [4] * 6)
        assert sum(scores) == expected
    assert scores_of(find_metric("top2"), [OUTPUTS], [1, 2, 0]) == [1, 1, 0]


def test_the_names_are_those_of_all_tables_and_take_no_numpy() -> None:
    for name, module in metric_modules().items():
        assert name in import_module(f"rockpress.accuracy.metrics.{module}").METRICS
    line = "from rockpress.accuracy.metrics.metric_names import *; print(metric_modules())"
    script = f"{line}\nimport sys; assert 'numpy' not in sys.modules"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str(metric_modules())
    assert len(metric_modules()) >= 12


def test_a_metric_reads_the_outputs_that_are_asked_for() -> None:
    outputs = [np.zeros((3, 2)), OUTPUTS]
    scoring = bind_metric("top1", read=["classes"], outputs=["boxes", "classes"])
    assert scoring.names == ("classes",)
    assert scores_of(scoring.metric, scoring.read(outputs), [1, 2, 0]) == [1, 0, 0]
    with pytest.raises(OptionError, match="--metric-output scores is no output of the model"):
        bind_metric("top1", read=["scores"], outputs=["boxes", "classes"])


def test_a_metric_may_come_from_a_module_of_the_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "rockpress_user_metric.py").write_text(
        "def error(outputs, labels):\n"
        "    return abs(outputs[0][:, 0] - labels)\n"
        "error.lower_is_better = True\n"
        "def words(outputs, labels):\n"
        "    return [len(label) for label in labels]\n"
        "words.labels = 'text'\n"
        "def odd(outputs, labels):\n"
        "    return 1\n"
        "odd.labels = 'sounds'\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    metric = find_metric("rockpress_user_metric:error")
    assert metric.lower_is_better
    assert scores_of(metric, [np.array([[1.0], [5.0]])], [2, 2]) == [1, 3]
    texts = find_metric("rockpress_user_metric:words")
    found = texts.measure(texts.predict([np.zeros((2, 4))]), Labels("text", ("a", "bcd")))
    assert found.value == 2
    with pytest.raises(OptionError, match="asks for labels of the kind 'sounds'"):
        find_metric("rockpress_user_metric:odd")
    sys.modules.pop("rockpress_user_metric")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("map75", "the metric 'map75' is not known"),
        (":f", "the metric ':f' is not known"),
        ("no_such_module_at_all:f", "cannot be imported: ModuleNotFoundError: No module named"),
        (
            "math:no_such_function",
            "cannot be imported: AttributeError: module 'math' has no attribute",
        ),
    ],
)
def test_unknown_metrics_are_refused(name: str, message: str) -> None:
    with pytest.raises(OptionError) as caught:
        find_metric(name)
    assert message in caught.value.message and caught.value.hint


@pytest.mark.parametrize("result", [np.zeros(2), np.zeros(()), np.array([0.0, np.nan, 1.0])])
def test_a_metric_must_give_one_number_a_sample(result: NDArray[Any]) -> None:
    metric = UserMetric("mine", lambda outputs, labels: result)
    with pytest.raises(OptionError, match="the metric 'mine' gave"):
        scores_of(metric, [OUTPUTS], LABELS.tolist())


def test_recall_and_confusions_are_told_for_each_class() -> None:
    labels = Labels("class", np.array([0, 0, 1, 1, 1]), names=("cat", "dog"))
    before = np.array([[1.0, 0], [1, 0], [0, 1], [0, 1], [1, 0]])
    after = np.array([[1.0, 0], [0, 1], [1, 0], [1, 0], [1, 0]])
    told = find_metric("top1").details(before, after, labels)
    expected = [np.mean(before[labels.classes() == one].argmax(1) == one) for one in (0, 1)]
    assert [one["baseline"] for one in told["classes"]] == expected
    assert told["classes"][1] == {
        "class": "1 dog",
        "samples": 3,
        "baseline": pytest.approx(2 / 3),
        "candidate": 0.0,
    }
    assert told["confusions"][0] == {
        "label": "1 dog",
        "predicted": "0 cat",
        "baseline": 1,
        "candidate": 3,
    }


def test_options_of_a_metric_are_checked() -> None:
    with pytest.raises(OptionError, match="--metric-option colour: top1 has no such option"):
        find_metric("top1", {"colour": "red"})
