"""Metrics of text, masks, numbers and embeddings, against implementations of others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jiwer
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import jaccard_score, mean_absolute_error, r2_score
from sklearn.metrics.pairwise import cosine_similarity
from sklearn.neighbors import NearestNeighbors

from rockpress.accuracy.compare import compare
from rockpress.accuracy.metrics.measurement import Measurement
from rockpress.accuracy.metrics.metric_table import bind_metric, find_metric
from rockpress.accuracy.metrics.text_recognition import edit_distance
from rockpress.calibration_data.sources.labels import Labels
from rockpress.core.errors import OptionError, SamplesError

Array = NDArray[Any]
CHARACTERS = "abcdefgh"


def measured(name: str, outputs: list[Array], labels: Labels, **options: str) -> Measurement:
    metric = find_metric(name, options)
    return metric.measure(metric.predict(outputs), labels)


def resampled_directly(name: str, outputs: list[Array], labels: Labels, drawn: Array) -> float:
    """The metric of a resample, computed as that of a set with some samples twice."""
    return measured(name, [one[drawn] for one in outputs], labels.take(drawn)).value


def assert_resamples_are_those_of_the_set(name: str, outputs: list[Array], labels: Labels) -> None:
    count = len(labels)
    whole = measured(name, outputs, labels)
    for seed in range(5):
        drawn = np.random.default_rng(seed).integers(0, count, count)
        counts = np.bincount(drawn, minlength=count)[np.newaxis]
        expected = resampled_directly(name, outputs, labels, drawn)
        assert whole.resampled(counts)[0] == pytest.approx(expected, abs=1e-9)


# Text


@pytest.fixture
def charset(tmp_path: Path) -> str:
    path = tmp_path / "keys.txt"
    path.write_text("\n".join(CHARACTERS) + "\n", encoding="utf-8")
    return str(path)


def written(texts: list[str], blank_first: bool = True, spaces: bool = True) -> Array:
    """Scores (N, steps, classes) that read as the texts, with runs and blanks between."""
    table = CHARACTERS + (" " if spaces else "")
    classes = len(table) + 1
    steps = 3 * 13 + 2
    scores = np.random.default_rng(0).random((len(texts), steps, classes)).astype(np.float32)
    blank = 0 if blank_first else classes - 1
    for row, text in zip(scores, texts, strict=True):
        path = [blank]
        for character in text:
            place = table.index(character) + blank_first
            path += [place, place, blank]
        path += [blank] * (steps - len(path))
        row[np.arange(steps), path] += 5
    return scores


@pytest.mark.parametrize("layout", ["first", "last", "turned", "four axes", "no space"])
def test_texts_are_read_from_any_layout(layout: str, charset: str) -> None:
    texts = ["abba", "", "h a", "ccc"] if layout != "no space" else ["abba", "", "ha", "ccc"]
    scores = written(texts, blank_first=layout != "last", spaces=layout != "no space")
    if layout == "turned":
        scores = scores.transpose(0, 2, 1)
    if layout == "four axes":
        scores = scores[:, :, np.newaxis]
    options = {"charset": charset, "blank": "last" if layout == "last" else "first"}
    assert list(find_metric("cer", options).predict([scores])) == texts


def test_character_error_rate_is_that_of_jiwer(charset: str) -> None:
    random = np.random.default_rng(1)
    truths = ["".join(random.choice(list(CHARACTERS), random.integers(3, 12))) for _ in range(60)]
    found = [text[1:] + text[:2] if random.random() < 0.5 else text for text in truths]
    labels = Labels("text", tuple(truths))
    whole = measured("cer", [written(found)], labels, charset=charset)
    assert whole.value == pytest.approx(jiwer.cer(truths, found))
    right = measured("character-accuracy", [written(found)], labels, charset=charset)
    assert right.value == pytest.approx(1 - jiwer.cer(truths, found))
    lines = measured("line-accuracy", [written(found)], labels, charset=charset)
    assert lines.value == np.mean([a == b for a, b in zip(truths, found, strict=True)])
    kept = compare(
        [written(truths)], [written(found)], labels, bind_metric("cer", {"charset": charset})
    )
    assert kept.agreement == lines.value
    assert kept.changes is not None and kept.changes.worst[0].label in truths


def test_a_line_of_digits_is_a_text_like_any_other(tmp_path: Path) -> None:
    keys = tmp_path / "keys.txt"
    keys.write_text("\n".join(CHARACTERS))
    texts = ("abba", "12")
    metric = bind_metric("cer", {"charset": str(keys)})
    said = compare(
        [written(["abba", "ab"])], [written(["abb", "ab"])], Labels("text", texts), metric
    )
    assert said.changes is not None and said.changes.lost == (0,)


@given(st.text("ab c", max_size=9), st.text("ab c", max_size=9))
def test_edit_distance_is_symmetric_and_bounded(one: str, other: str) -> None:
    distance = edit_distance(one, other)
    assert distance == edit_distance(other, one)
    assert abs(len(one) - len(other)) <= distance <= max(len(one), len(other))
    assert (distance == 0) == (one == other)


def test_spaces_and_case_may_be_ignored(charset: str) -> None:
    labels = Labels("text", ("a b", "CD"))
    outputs = [written(["ab", "cd"])]
    options = {"charset": charset, "ignore_spaces": "yes", "ignore-case": "yes"}
    assert measured("line-accuracy", outputs, labels, charset=charset).value == 0
    assert measured("line-accuracy", outputs, labels, **options).value == 1
    metric = find_metric("line-accuracy", options)
    assert metric.agreement(["a b", "CD"], ["ab", "cd"]) == 1


def test_a_charset_that_does_not_fit_is_told(charset: str) -> None:
    with pytest.raises(SamplesError, match=r"shape \(1, 5, 20\) does not fit 8 characters"):
        find_metric("cer", {"charset": charset}).predict([np.zeros((1, 5, 20))])
    with pytest.raises(OptionError, match="needs the model's characters"):
        bind_metric("cer")
    with pytest.raises(OptionError, match="charset=nowhere"):
        bind_metric("cer", {"charset": "nowhere.txt"})
    with pytest.raises(OptionError, match="blank=middle: not first or last"):
        find_metric("cer", {"blank": "middle"})


# Masks


def scenes(count: int = 12) -> tuple[Array, Labels, Array]:
    """Scores (N, 4, 9, 11), masks with pixels of no class, and the classes that the scores say."""
    random = np.random.default_rng(2)
    masks = random.integers(0, 4, (count, 9, 11))
    masks[masks == 3] = random.choice([0, 3, 255], int((masks == 3).sum()))
    scores = random.random((count, 4, 9, 11)) + np.eye(4)[np.minimum(masks, 3)].transpose(
        0, 3, 1, 2
    )
    return scores, Labels("mask", masks), scores.argmax(axis=1)


def test_mean_iou_is_that_of_scikit_learn() -> None:
    scores, labels, found = scenes()
    masks = np.asarray(labels.values)
    known = masks != 255
    expected = jaccard_score(masks[known], found[known], average="macro")
    assert measured("miou", [scores], labels).value == pytest.approx(expected)
    assert measured("miou", [found], labels).value == pytest.approx(expected)
    assert_resamples_are_those_of_the_set("miou", [scores], labels)
    told = find_metric("miou").details(found, found, labels)["classes"]
    each = jaccard_score(masks[known], found[known], average=None)
    assert [one["baseline"] for one in told] == pytest.approx(list(each))


def test_a_smaller_output_is_read_at_the_nearest_pixel() -> None:
    mask = np.kron(np.array([[0, 1], [2, 1]]), np.ones((4, 4), int))
    small = np.eye(3)[np.array([[0, 1], [2, 1]])].transpose(2, 0, 1)[np.newaxis]
    assert measured("miou", [small], Labels("mask", mask[np.newaxis])).value == 1


def test_a_pixel_of_no_possible_class_is_told() -> None:
    masks = np.zeros((1, 2, 2), int)
    masks[0, 0, 0] = 10**9
    with pytest.raises(SamplesError, match="classes from 0 to 1000000000 in a mask"):
        measured("miou", [np.zeros((1, 2, 2), int)], Labels("mask", masks))


# Numbers and vectors


def test_regression_is_that_of_scikit_learn() -> None:
    random = np.random.default_rng(3)
    truth = random.normal(100, 2, (50, 3))
    found = truth + random.normal(size=truth.shape)
    labels = Labels("vector", truth)
    assert measured("mae", [found], labels).value == pytest.approx(
        mean_absolute_error(truth, found)
    )
    assert measured("r2", [found], labels).value == pytest.approx(r2_score(truth, found))
    assert_resamples_are_those_of_the_set("r2", [found], labels)
    table = Labels("text", tuple(" ".join(map(str, row)) for row in truth))
    assert measured("r2", [found], table).value == pytest.approx(r2_score(truth, found))
    with pytest.raises(SamplesError, match="labels of 3 numbers for an output of 2"):
        measured("mae", [found[:, :2]], labels)


def test_embeddings_are_those_of_scikit_learn() -> None:
    random = np.random.default_rng(4)
    classes = random.integers(0, 12, 80)
    vectors = random.normal(size=(80, 8)) + 1.2 * random.normal(size=(12, 8))[classes]
    other = vectors + random.normal(size=vectors.shape)
    found = measured("cosine", [other], Labels("vector", vectors)).value
    assert found == pytest.approx(np.diag(cosine_similarity(other, vectors)).mean())
    for k in (1, 5):
        search = NearestNeighbors(n_neighbors=k + 1, metric="cosine").fit(vectors)
        nearest = search.kneighbors(vectors, return_distance=False)[:, 1:]
        expected = (classes[nearest] == classes[:, np.newaxis]).any(axis=1)
        alone = np.bincount(classes)[classes] == 1
        value = measured(f"recall@{k}", [vectors], Labels("class", classes)).value
        assert value == pytest.approx(expected[~alone].mean())


def test_a_sample_alone_in_its_class_is_no_query() -> None:
    vectors = np.eye(3)[[0, 0, 1]]
    whole = measured("recall@1", [vectors], Labels("class", np.array([0, 0, 1])))
    assert whole.value == 1
    far = measured("recall@1", [vectors], Labels("class", np.array([10**17, 10**17, 1])))
    assert far.value == 1
    assert np.isnan(whole.resampled(np.array([[0, 0, 3]]))[0])
