"""Attacks on classifiers whose weak spots are known, and what a report says of them."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import ModelProto

from graphs import model_of
from rockpress.accuracy.attacks.class_scores import ScoredModel, label_margins, score_tensor
from rockpress.accuracy.attacks.classifier_attack import ClassifierAttack
from rockpress.accuracy.attacks.input_pixels import (
    InputPixels,
    in_pixel_order,
    input_pixels,
    normalised_pixels,
    with_pixels,
)
from rockpress.accuracy.attacks.projected_gradient import projected_gradient
from rockpress.accuracy.attacks.square import Places, SearchBounds, square_attack
from rockpress.accuracy.confidence.proportions import sign_test
from rockpress.calibration_data.bundled import MODEL, TEST, sample_path
from rockpress.calibration_data.preprocessing import Preprocessing
from rockpress.calibration_data.samples import Samples, open_samples
from rockpress.core.results.report import TargetReport
from rockpress.core.results.sample_rows import AttackRow
from rockpress.core.session import Session
from rockpress.core.training import pytorch
from rockpress.pipeline.check import check
from rockpress.pipeline.recipes.recipe import make_recipe
from rockpress.pipeline.tasks.input_gradients import input_gradients
from rockpress.report.documents.document import to_json
from rockpress.report.documents.report_reader import read_report
from rockpress.report.html.page import to_html
from rockpress.report.text.attack_text import attack_lines, door_text
from rockpress.report.text.table import to_tables

COUNT = 12
SIZE = 8

Array = NDArray[Any]


def threshold_model(slope: float = 0.0, *, ends: str = "") -> ModelProto:
    """Return a model that takes images (1, 1, 8, 8) of a mean above 100 for class 1.

    With a slope, what the left half has more than the right one counts too, as many times as much.
    """
    weights = np.full((SIZE, SIZE), 1 / SIZE**2, np.float32)
    weights[:, : SIZE // 2] *= 1 + slope
    weights[:, SIZE // 2 :] *= 1 - slope
    output, last = ("y", f"y = {ends} (z)") if ends else ("z", "")
    return model_of(
        f"""(float[1,1,{SIZE},{SIZE}] x) => (float[1,2] {output}) {{
            flat = Flatten (x)
            z = Gemm <transB = 1> (flat, w, b)
            {last} }}""",
        {"w": np.stack([np.zeros(SIZE**2), weights.ravel()]), "b": np.array([0.0, -100.0])},
    )


def saved(model: ModelProto, path: Path) -> Path:
    onnx.save(model, str(path))
    return path


@pytest.fixture
def flat_images(tmp_path: Path) -> Path:
    """Images of 90 and of 110: of either class, and 10 from the threshold."""
    labels = np.arange(COUNT) % 2
    images = np.broadcast_to((90 + 20 * labels)[:, None, None], (COUNT, SIZE, SIZE))
    np.savez(tmp_path / "flat.npz", images=images.astype(np.uint8), labels=labels)
    return tmp_path / "flat.npz"


def opened(path: Path) -> Samples:
    return open_samples(path, {"x": (1, 1, SIZE, SIZE)})


def attack_on(
    samples: Samples, epsilon: int, queries: int = 100, seed: int = 0
) -> ClassifierAttack:
    assert samples.labels is not None
    return ClassifierAttack(
        samples, samples.labels.classes(), 1, SearchBounds(epsilon, queries), seed
    )


def searched(attack: ClassifierAttack, model: ModelProto) -> Array:
    return attack.by_scores(model, "z", optimise=True)


def accuracy(model: ModelProto, attack: ClassifierAttack, pixels: Array) -> float:
    scores = ScoredModel(model, "z", attack.samples).scores(pixels)
    return float((label_margins(scores, attack.labels, 1) >= 0).mean())


# The search by scores


@pytest.mark.parametrize(("epsilon", "left"), [(4, 1.0), (9, 1.0), (20, 0.0)])
def test_a_search_gets_over_the_threshold_where_it_is_allowed_to(
    epsilon: int, left: float, flat_images: Path
) -> None:
    attack, model = attack_on(opened(flat_images), epsilon), threshold_model()
    changed = searched(attack, model)
    assert accuracy(model, attack, attack.images.pixels) == 1
    assert accuracy(model, attack, changed) == left
    change = changed.astype(int) - attack.images.pixels
    assert np.abs(change).max() == epsilon


def test_a_search_stays_within_its_queries_and_shows_what_is_wrong_no_more() -> None:
    images = InputPixels(np.full((3, 6, 5, 3), 128, np.uint8), ((slice(0, 6), slice(0, 5)),) * 3)
    shown = np.zeros(3, int)

    def margins(pixels: Array, places: Places) -> Array:
        shown[places] += 1
        # the first is wrong from the beginning, the second after five images, the last never
        return np.array([[-1, 4.5 - shown[1], 1][place] for place in places], float)

    changed = square_attack(images, margins, SearchBounds(4, 30), seed=0)
    assert shown.tolist() == [1, 5, 31]
    assert np.array_equal(changed[0], images.pixels[0])
    assert np.abs(changed[1:].astype(int) - 128).max() == 4


def test_values_do_not_leave_the_scale_of_pixels(flat_images: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "black.npz", images=np.zeros((2, SIZE, SIZE), np.uint8), labels=[0, 0])
    attack = attack_on(opened(tmp_path / "black.npz"), 30)
    assert set(np.unique(searched(attack, threshold_model()))) == {0, 30}


def test_the_same_seed_gives_the_same_whatever_other_images_there_are(flat_images: Path) -> None:
    samples, model = opened(flat_images), threshold_model(7)
    whole = searched(attack_on(samples, 4, 9), model)
    np.testing.assert_array_equal(whole, searched(attack_on(samples, 4, 9), model))
    np.testing.assert_array_equal(whole[:5], searched(attack_on(samples.first(5), 4, 9), model))
    assert not np.array_equal(whole, searched(attack_on(samples, 4, 9, seed=1), model))


def test_padding_is_not_the_images(tmp_path: Path) -> None:
    np.savez(tmp_path / "wide.npz", images=np.full((2, 4, 16), 90, np.uint8), labels=[0, 0])
    how = Preprocessing(resize="letterbox", pad=7)
    samples = open_samples(tmp_path / "wide.npz", {"x": (1, 1, SIZE, SIZE)}, how)
    changed = searched(attack_on(samples, 20), threshold_model()).astype(int)
    outside = np.r_[0:3, 5:SIZE]
    assert (changed[:, outside] == 7).all() and (changed[:, 3:5] != 90).all()


@pytest.mark.parametrize("color", ["rgb", "bgr", "gray"])
@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
def test_pixels_are_fed_as_the_images_were(color: Any, layout: Any, tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 9, 7, 3), dtype=np.uint8)
    np.save(tmp_path / "images.npy", images)
    channels = 1 if color == "gray" else 3
    shape = (1, channels, 6, 5) if layout == "nchw" else (1, 6, 5, channels)
    how = Preprocessing(color=color, layout=layout, mean=(9,) * channels, std=(2.5,))
    samples = open_samples(tmp_path / "images.npy", {"x": shape}, how)
    pixels = input_pixels(samples).pixels
    again = with_pixels(samples, pixels)
    values = normalised_pixels(samples, pixels.astype(np.float32))
    for index, feeds in enumerate(samples):
        np.testing.assert_array_equal(feeds["x"], again.feeds(index)["x"])
        np.testing.assert_array_equal(feeds["x"], values[index])
    # back in the order of the pixels, but for mean and std
    np.testing.assert_allclose(in_pixel_order(samples, values) * 2.5 + 9, pixels, atol=1e-4)


def test_a_batch_is_filled_with_other_images(flat_images: Path) -> None:
    weights = np.stack([np.zeros(SIZE**2), np.full(SIZE**2, 1 / SIZE**2)])
    model = model_of(
        f"""(float[5,1,{SIZE},{SIZE}] x) => (float[5,2] z) {{
            flat = Flatten (x)
            z = Gemm <transB = 1> (flat, w, b) }}""",
        {"w": weights, "b": np.array([0.0, -100.0])},
    )
    samples = open_samples(flat_images, {"x": (5, 1, SIZE, SIZE)})
    attack, alone = attack_on(samples, 20), attack_on(opened(flat_images), 20)
    np.testing.assert_array_equal(searched(attack, model), searched(alone, threshold_model()))


# What is read of a model


def test_scores_are_read_before_a_softmax() -> None:
    assert score_tensor(threshold_model(ends="Softmax"), "y") == "z"
    assert score_tensor(threshold_model(ends="Sigmoid"), "y") == "y"
    text = """(float[1,2] x) => (float[1,2] y) {
        a = Relu (x)
        q = QuantizeLinear (a, s, o)
        d = DequantizeLinear (q, s, o)
        p = Softmax (d)
        r = QuantizeLinear (p, s, o)
        y = DequantizeLinear (r, s, o) }"""
    weights = {"s": np.array(0.1), "o": np.array(0, np.uint8)}
    assert score_tensor(model_of(text, weights, prepared=False), "y") == "d"


def test_probabilities_that_are_all_1_do_not_hide_a_weak_spot(flat_images: Path) -> None:
    """A margin of 10 times 100 is 1.0 after the Softmax, whatever a small change does."""
    model = threshold_model(7, ends="Softmax")
    for tensor in model.graph.initializer:
        values = onnx.numpy_helper.to_array(tensor) * np.float32(100)
        tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    attack = attack_on(opened(flat_images), 4)
    left = {
        name: accuracy(model, attack, attack.by_scores(model, name, optimise=True))
        for name in ("y", score_tensor(model, "y"))
    }
    assert left["z"] == 0 < left["y"]


def test_the_margin_of_the_k_best() -> None:
    scores = np.array([[5.0, 4.0, 3.0, 1.0]])
    margins = [label_margins(scores, np.array([1]), k)[0] for k in (1, 2, 3)]
    assert margins == [-1, 1, 3]


def test_of_equal_scores_the_first_is_the_larger() -> None:
    scores = np.array([[2.0, 2.0], [2.0, 2.0]])
    first, second = label_margins(scores, np.array([0, 1]), 1)
    assert first == 0 > second


# The steps along gradients


def test_steps_reach_the_bound_where_the_gradient_points_and_whole_numbers() -> None:
    pixels = np.array([[[[100], [2], [254], [100]]]], np.uint8)
    slope = np.array([[[[1], [-1], [1], [0]]]], np.float32)
    images = InputPixels(pixels, ((slice(0, 1), slice(0, 4)),))
    made = [projected_gradient(images, lambda _: slope, 4, seed) for seed in (0, 0, 1)]
    assert made[0][..., :3, 0].tolist() == [[[104, 0, 255]]]
    assert abs(int(made[0][0, 0, 3, 0]) - 100) <= 4  # where it started
    assert np.array_equal(made[0], made[1]) and made[0].dtype == np.uint8


def test_steps_leave_the_padding() -> None:
    images = InputPixels(np.full((1, 4, 4, 1), 9, np.uint8), ((slice(1, 3), slice(0, 4)),))
    changed = projected_gradient(images, np.ones_like, 4, 0)
    assert changed[0, :, 0, 0].tolist() == [9, 13, 13, 9]


@pytest.mark.parametrize("color", ["rgb", "bgr"])
def test_gradients_are_of_the_channel_that_counts(color: Any, tmp_path: Path) -> None:
    """The model's first channel is red or blue; the loss grows with it alone."""
    np.savez(tmp_path / "x.npz", images=np.full((2, 4, 4, 3), 90, np.uint8), labels=[0, 0])
    how = Preprocessing(color=color)
    samples = open_samples(tmp_path / "x.npz", {"x": (1, 3, 4, 4)}, how)

    def gradients(inputs: Array, labels: Array) -> Array:
        slope = np.zeros_like(inputs)
        slope[:, :, 0] = 1
        return slope

    right = np.array([True, False])
    changed = attack_on(samples, 4).by_gradients(gradients, right)
    counts = {"rgb": 0, "bgr": 2}[color]
    assert (changed[0, ..., counts] == 94).all()
    assert (np.abs(changed[0].astype(int) - 90) <= 4).all()
    assert (changed[1] == 90).all()  # that was wrong already


@pytest.mark.torch
@pytest.mark.parametrize("ends", ["", "Softmax"])
def test_torch_gives_the_gradients_that_differences_do(ends: str) -> None:
    model = threshold_model(7, ends=ends)
    gradients = input_gradients(model, "z")
    random = np.random.default_rng(0)
    inputs = random.uniform(99, 101, (20, 1, 1, SIZE, SIZE)).astype(np.float32)
    labels = np.arange(20) % 2
    session = Session(model)

    def loss(values: Array, label: int) -> float:
        scores = session.run({"x": values.astype(np.float32)})[0][0].astype(float)
        odds = scores if ends else np.exp(scores) / np.exp(scores).sum()
        return float(-np.log(odds[label]))

    measured = gradients(inputs, labels)
    for index in (0, 1, 19):
        step = np.zeros_like(inputs[0], float)
        step[0, 0, 2, 3] = 0.5
        change = loss(inputs[index] + step, labels[index]) - loss(
            inputs[index] - step, labels[index]
        )
        assert measured[index, 0, 0, 2, 3] == pytest.approx(change, rel=0.05)


# The report


def checked(original: Path, candidate: Path, **options: Any) -> TargetReport:
    report = check(make_recipe(original, robustness=True, **options), candidate)
    return report.targets[0]


def test_a_door_that_compression_opened(flat_images: Path, tmp_path: Path) -> None:
    """Both models say the same of every image, and only one can be led by small changes."""
    original = saved(threshold_model(), tmp_path / "a.onnx")
    fragile = saved(threshold_model(7), tmp_path / "b.onnx")
    how = {"eval": flat_images, "attack_queries": 100}
    target = checked(original, fragile, **how)
    clean, each, carried, *gradients = target.attacks
    assert (clean.baseline, clean.candidate, clean.epsilon, clean.opened) == (1, 1, None, None)
    assert (each.baseline, each.candidate, each.opened, each.closed) == (1, 0, COUNT, 0)
    assert (each.attack, each.epsilon, each.queries, each.samples) == ("square", 4, 100, COUNT)
    assert each.p_value == pytest.approx(2 / 2**COUNT) and each.retention == 0
    assert (carried.made_on, carried.baseline) == ("baseline", 1)
    # made on a model that has no such direction, it hardly ever goes along it
    assert carried.candidate is not None and carried.candidate > 0.5
    head, line = attack_lines(target.attacks)[:2]
    assert head.endswith("as they are 100.0% and 100.0%")
    assert line == (
        "Square Attack on each (100 queries): compression opened doors: of 12 samples that both "
        "have right the result alone loses 12, the original alone 0 (p = 0.00049); left 100.0% "
        "and 0.0%, retention 0.0% (0.0 to 32.0%)"
    )
    backwards = checked(fragile, original, **how).attacks[1]
    assert (backwards.opened, backwards.closed) == (0, COUNT)
    assert "less far on the result" in attack_lines([clean, backwards])[1]
    assert len(gradients) == (find_spec("torch") is not None)


def test_attacks_in_every_form_of_the_report(flat_images: Path, tmp_path: Path) -> None:
    model = saved(threshold_model(), tmp_path / "a.onnx")
    how = {"eval": flat_images, "attack_epsilon": 20, "attack_queries": 60, "attack_count": 6}
    report = check(make_recipe(model, robustness=True, **how), model)
    document = json.loads(to_json(report))
    rows = document["targets"][0]["attacks"]
    assert [(row["attack"], row["made_on"], row["samples"]) for row in rows[:3]] == [
        ("none", None, 6),
        ("square", "each", 6),
        ("square", "baseline", 6),
    ]
    # the same model twice: nothing is opened, and a ratio to 0 is none
    assert [(row["opened"], row["closed"], row["p_value"]) for row in rows[1:3]] == [(0, 0, 1)] * 2
    assert [row["candidate"] for row in rows[:3]] == [1, 0, 0]
    assert rows[1]["retention"] is None
    assert read_report(document).targets[0].attacks == report.targets[0].attacks
    lines = to_tables(report)[0].asked
    (head,) = [line for line in lines if line.startswith("attacked: ")]
    assert "6 samples, each pixel within 20 of 255" in head
    (each,) = [line for line in lines if line.startswith("Square Attack on each (60 queries): ")]
    assert "too few doors to tell, more samples or queries may: of 6 samples" in each
    assert "(p = 1); left 0.0% and 0.0%, no retention" in each
    page = to_html(report)
    assert "Under attack" in page and page.count("too few doors to tell") == len(rows) - 1


@pytest.mark.parametrize(
    ("both", "opened", "closed", "said"),
    [
        (90, 5, 0, "too few doors to tell"),
        (90, 6, 0, "compression opened doors: of 90 samples"),
        (90, 0, 6, "the search goes less far on the result"),
        (90, 5, 4, "no more than chance would do"),
        (0, 0, 0, "nothing to lose"),
        (None, None, None, "unknown"),
    ],
)
def test_the_verdict_on_doors(
    both: int | None, opened: int | None, closed: int | None, said: str
) -> None:
    p_value = None if opened is None or closed is None else sign_test(opened, closed)
    shares = 0.5, 0.4, None, None, None
    row = AttackRow("square", 4, "each", 50, "top1", *shares, 100, opened, closed, p_value, both)
    assert door_text(row).startswith(said)


def no_attacks(target: TargetReport) -> list[str]:
    """What the report says of attacks that are not there."""
    return [each.text for each in target.warnings if each.code == "robustness-no-attack"]


def test_without_torch_there_is_no_attack_by_gradients(
    flat_images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pytorch, "find_spec", lambda name: None)
    model = saved(threshold_model(), tmp_path / "a.onnx")
    target = checked(model, model, eval=flat_images)
    assert [row.attack for row in target.attacks] == ["none", "square", "square"]
    (text,) = no_attacks(target)
    assert text.startswith("no attack by gradients: PGD needs PyTorch")


def brittle_model() -> ModelProto:
    """Return a model that has the flat images right and gives NaN on images of a mean above 111."""
    return model_of(
        f"""(float[1,1,{SIZE},{SIZE}] x) => (float[1,2] y) {{
            flat = Flatten (x)
            z = Gemm <transB = 1> (flat, w, b)
            root = Sqrt (z)
            y = Neg (root) }}""",
        {
            "w": np.stack([np.zeros(SIZE**2), np.full(SIZE**2, -1 / SIZE**2)]),
            "b": np.array([20.0, 111.0]),
        },
    )


def test_a_result_that_gives_nan_under_attack_is_not_lost(
    flat_images: Path, tmp_path: Path
) -> None:
    sound = saved(threshold_model(), tmp_path / "a.onnx")
    brittle = saved(brittle_model(), tmp_path / "b.onnx")
    for pair, name in (((sound, brittle), "result"), ((brittle, sound), "original")):
        target = checked(*pair, eval=flat_images)
        clean, each, carried, *_ = target.attacks
        assert (clean.baseline, clean.candidate) == (1, 1)
        assert each.candidate is each.opened is None and each.samples == COUNT
        assert (carried.candidate is None) == (name == "original")
        said = f"no attack on the {name}: the outputs hold NaN"
        assert any(said in text for text in no_attacks(target))
        by_kind = {(row.corruption, row.level): row for row in target.robustness}
        assert by_kind["none", None].baseline == 1
        assert by_kind["brightness", 1.5].metric is None
        (lost,) = (each.text for each in target.warnings if each.code == "robustness-lost")
        assert "nothing is known on noise" in lost and "brightness 1.5" in lost


def test_no_attack_by_gradients_on_a_batch(flat_images: Path, tmp_path: Path) -> None:
    model = threshold_model()
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 4
    model.graph.output[0].type.tensor_type.shape.dim[0].dim_value = 4
    path = saved(model, tmp_path / "a.onnx")
    assert any(
        "batch above 1" in text for text in no_attacks(checked(path, path, eval=flat_images))
    )


def test_a_gradient_that_is_not_finite_points_nowhere() -> None:
    images = InputPixels(np.full((1, 4, 4, 1), 200, np.uint8), ((slice(0, 4), slice(0, 4)),))
    changed = projected_gradient(images, lambda pixels: np.full_like(pixels, np.nan), 4, 0)
    assert np.abs(changed.astype(int) - 200).max() <= 4


@pytest.mark.torch
def test_with_torch_there_is(flat_images: Path, tmp_path: Path) -> None:
    original = saved(threshold_model(7), tmp_path / "a.onnx")
    steady = saved(threshold_model(), tmp_path / "b.onnx")
    row = checked(original, steady, eval=flat_images).attacks[3]
    assert (row.attack, row.made_on, row.queries) == ("pgd", "baseline", None)
    assert (row.baseline, row.candidate, row.closed, row.opened) == (0, 1, COUNT, 0)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"metric": "error_metric:error"}, "error has none"),
        ({"eval": None, "calib": "flat.npy"}, "the samples have no labels"),
        ({"attack_queries": 0, "metric": "error_metric:error"}, ""),
        ({"attack_queries": 0}, ""),
    ],
)
def test_what_is_not_attacked(
    options: dict[str, Any],
    said: str,
    flat_images: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("error_metric.py").write_text(
        "def error(outputs, labels):\n    return (outputs[0].argmax(1) == labels) * 1.0\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    np.save("flat.npy", np.load(flat_images)["images"])
    model = saved(threshold_model(), tmp_path / "a.onnx")
    target = checked(model, model, **{"eval": flat_images, **options})
    texts = no_attacks(target)
    assert len(texts) == bool(said) and all(said in text for text in texts)
    assert target.attacks == () and target.robustness


def test_a_demo_model_loses_under_attack() -> None:
    model = sample_path(MODEL)
    how = Preprocessing(mean=(73,), std=(90,))
    recipe = make_recipe(model, eval=sample_path(TEST), eval_count=60, preprocessing=how)
    recipe = replace(recipe, check=replace(recipe.check, robustness=True, attack_epsilon=16))
    rows: tuple[AttackRow, ...] = check(recipe, model).targets[0].attacks
    clean, attacked = rows[0].baseline, rows[1].baseline
    assert clean is not None and attacked is not None and attacked < clean - 0.1
