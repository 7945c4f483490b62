"""Every mistake is planted on a model where it costs accuracy; the right settings say nothing."""

from __future__ import annotations

import functools
import json
import runpy
import tempfile
from collections.abc import Mapping
from contextlib import nullcontext
from importlib.metadata import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import ModelProto

from commands import Run
from graphs import model_of
from rockpress.accuracy.confidence.proportions import sign_test
from rockpress.accuracy.metrics.metric_table import BoundMetric, bind_metric
from rockpress.accuracy.metrics.user_metric import UserMetric
from rockpress.accuracy.preprocess.preprocess_audit import (
    MOST,
    PreprocessAudit,
    Suggestion,
    audit_preprocess,
)
from rockpress.calibration_data.bundled import MODEL, TEST, sample_path
from rockpress.calibration_data.preprocessing import Preprocessing
from rockpress.calibration_data.samples import open_samples
from rockpress.core.diagnostics import Diagnostic, mentioned, render
from rockpress.core.errors import SamplesError
from rockpress.core.progress import Progress
from rockpress.pipeline.check import check
from rockpress.pipeline.options.sample_options import ModelOptions
from rockpress.pipeline.recipes.recipe import make_recipe
from rockpress.pipeline.samples.preprocess_warnings import audit_warnings, require_preprocess
from rockpress.pipeline.samples.ready_model import ready_model

TOP1 = bind_metric("top1")
HEIGHT, WIDTH, SIDE = 12, 24, 24
RIGHT: Mapping[str, Any] = {"mean": (127.5,), "std": (127.5,), "resize": "letterbox"}
INPUT = {"x": (1, 3, HEIGHT, WIDTH)}


# A classifier of eight classes, red or blue in one of four places, fitted to letterboxed pictures


def pictures(count: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Noise with a coloured bar: (count, 24, 24, 3), and the class = place + 4 where it is blue."""
    random = np.random.default_rng(seed)
    images = random.integers(70, 130, (count, SIDE, SIDE, 3))
    labels = np.arange(count) % 8
    for image, label in zip(images, labels, strict=True):
        left = 6 * (label % 4)
        image[:, left : left + 6, 2 * (label // 4)] += 90
    return images.astype(np.uint8), labels


def gray_pictures(count: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The same with equal channels, so that the colour tells nothing."""
    images, labels = pictures(count, seed)
    return np.repeat(images.max(axis=3, keepdims=True), 3, axis=3), labels % 4


def save(folder: Path, images: NDArray[np.uint8], labels: NDArray[np.int64] | None) -> Path:
    named = {"images": images} if labels is None else {"images": images, "labels": labels}
    np.savez(folder / "set.npz", **named)
    return folder / "set.npz"


@functools.cache
def classifier(*, channels_last: bool = False, is_gray: bool = False) -> ModelProto:
    """x (1, 3, 12, 24) -> 96 seeded features with tanh -> 8 classes by ridge regression.

    With ``channels_last`` its values are in the order (H, W, C), whatever the shape says.
    """
    images, labels = gray_pictures(400, seed=1) if is_gray else pictures(400, seed=1)
    layout: Any = "nhwc" if channels_last else "nchw"
    with tempfile.TemporaryDirectory() as folder:
        path = save(Path(folder), images, labels)
        samples = open_samples(path, INPUT, Preprocessing(layout=layout, **RIGHT))
        values = np.stack([feeds["x"].ravel() for feeds in samples])
    first = np.random.default_rng(2).normal(0, 0.12, (values.shape[1], 96)).astype(np.float32)
    bias = np.random.default_rng(3).normal(0, 0.5, 96).astype(np.float32)
    hidden = np.tanh(values @ first + bias)
    gram = hidden.T @ hidden + 1e-2 * np.eye(96)
    second = np.linalg.solve(gram, hidden.T @ np.eye(8)[labels]).astype(np.float32)
    text = f"""(float{list(INPUT["x"])} x) => (float[1,8] y) {{
        flat = Flatten (x)
        sums = MatMul (flat, first)
        biased = Add (sums, bias)
        hidden = Tanh (biased)
        y = MatMul (hidden, second) }}"""
    return model_of(text, {"first": first, "bias": bias, "second": second}, prepared=False)


def audited(model: ModelProto, path: Path, **wrong: Any) -> PreprocessAudit:
    samples = open_samples(path, INPUT, Preprocessing(**{**RIGHT, **wrong}))
    return audit_preprocess(model, samples, TOP1)


@pytest.mark.parametrize(
    ("wrong", "subject", "say"),
    [
        ({}, "", None),
        ({"color": "bgr"}, "color", "--color rgb"),
        ({"resize": "stretch"}, "resize", "--resize letterbox"),
        ({"resize": "fit"}, "resize", "--resize letterbox"),
        ({"layout": "nhwc"}, "layout", "--layout nchw"),
        ({"mean": (0,), "std": (1,)}, "scale", "--mean 127.5 --std 127.5"),
        (
            {"color": "bgr", "resize": "stretch"},
            "color",
            "--color rgb --resize letterbox",
        ),
    ],
)
def test_mistakes_on_a_colour_classifier(
    wrong: Mapping[str, Any], subject: str, say: str | None, tmp_path: Path
) -> None:
    model = classifier()
    found = audited(model, save(tmp_path, *pictures(160, seed=3)), **wrong)
    assert (found.subject, found.better and render(found.better.change)) == (subject, say)
    assert (found.value > 0.9) == (not wrong)
    assert found.better is None or found.better.value > 0.9
    assert found.samples == 160


def test_values_in_another_order_than_the_shape_has_them(tmp_path: Path) -> None:
    model = classifier(channels_last=True)
    path = save(tmp_path, *pictures(160, seed=3))
    assert audited(model, path, layout="nhwc").better is None
    found = audited(model, path)
    assert found.better is not None and render(found.better.change) == "--layout nhwc"


def tensor_set(folder: Path, values: NDArray[np.float32], labels: NDArray[np.int64]) -> Path:
    np.savez(folder / "tensors.npz", x=values, labels=labels)
    return folder / "tensors.npz"


@pytest.mark.parametrize(
    ("mistake", "subject", "say"),
    [
        ("", "", None),
        ("reshaped", "layout", "transposed"),
        ("bgr", "color", "BGR"),
        ("small", "scale", "times 255"),
    ],
)
def test_tensors_that_were_made_wrongly(
    mistake: str, subject: str, say: str | None, tmp_path: Path
) -> None:
    model = classifier()
    images, labels = pictures(160, seed=3)
    samples = open_samples(save(tmp_path, images, labels), INPUT, Preprocessing(**RIGHT))
    right = np.concatenate([feeds["x"] for feeds in samples])
    made = {
        "": right,
        "reshaped": right.transpose(0, 2, 3, 1).reshape(right.shape),
        "bgr": right[:, ::-1],
        "small": right / 255,
    }[mistake]
    fed = open_samples(tensor_set(tmp_path, made, labels), INPUT)
    found = audit_preprocess(model, fed, TOP1)
    assert found.subject == subject
    assert (found.better is None) == (say is None)
    if found.better is not None:
        assert say is not None and say in found.better.change
        (notice,) = audit_warnings(found, "top1", images=False)
        assert notice.hint == "save the samples again in that form"


def test_an_input_that_is_no_image_is_left_alone(tmp_path: Path) -> None:
    model = model_of("(float[1,4] x) => (float[1,4] y) { y = Neg (x) }", prepared=False)
    labels = np.arange(64) % 4
    values = -np.eye(4, dtype=np.float32)[labels]
    wrong = tensor_set(tmp_path, -values, labels)
    found = audit_preprocess(model, open_samples(wrong, {"x": (1, 4)}), TOP1)
    assert (found.value, found.better, found.at_chance) == (0.0, None, True)
    right = tensor_set(tmp_path, values, labels)
    found = audit_preprocess(model, open_samples(right, {"x": (1, 4)}), TOP1)
    assert (found.value, found.better, found.at_chance) == (1.0, None, False)


# What the data cannot tell


def test_gray_pictures_cannot_tell_the_colour_order(tmp_path: Path) -> None:
    model = classifier(is_gray=True)
    path = save(tmp_path, *gray_pictures(160, seed=3))
    for color in ("rgb", "bgr"):
        assert audited(model, path, color=color).better is None
        found = audited(model, path, color=color, mean=(0,), std=(1,))
        assert found.better is not None
        said = [render(one.change) for one in (found.better, *found.equals)]
        assert "--mean 127.5 --std 127.5" in said
        assert not [one for one in said if "--color" in one]


def test_settings_that_are_as_good_are_all_named(tmp_path: Path) -> None:
    """Every picture has the input's own size, so that letterbox, fit and crop are the same."""
    model = classifier()
    images, labels = pictures(160, seed=3)
    wide = np.full((160, HEIGHT, WIDTH, 3), 114, np.uint8)
    wide[:, :, 6:18] = images[:, ::2, ::2]
    path = save(tmp_path, wide, labels)
    for resize in ("stretch", "letterbox", "fit", "crop"):
        assert audited(model, path, resize=resize).better is None
    found = audited(model, path, mean=(0,), std=(1,))
    assert found.better is not None and "--resize" not in render(found.better.change)


def test_scales_that_the_samples_cannot_tell_apart_are_not_guessed() -> None:
    found = PreprocessAudit(
        samples=99,
        value=0.5,
        at_chance=True,
        subject="scale",
        better=Suggestion("--mean 0 --std 255", 0.996),
        equals=(Suggestion("--mean 127.5 --std 127.5", 0.992),),
    )
    (notice,) = audit_warnings(found, "top1", images=True)
    assert notice.code == "preprocess-scale"
    assert notice.text == (
        "the original model's top1 is 0.500 on 99 samples, and 0.996 with --mean 0 --std 255; the "
        "samples cannot tell that from --mean 127.5 --std 127.5 (0.992)"
    )
    assert notice.hint == "look up which one the model was trained with, and use that"


def test_a_few_samples_point_but_do_not_decide(tmp_path: Path) -> None:
    model = classifier()
    found = audited(model, save(tmp_path, *pictures(8, seed=5)), color="bgr")
    assert found.better is None and found.hint is not None
    assert render(found.hint.change) == "--color rgb"
    (notice,) = audit_warnings(found, "top1", images=True)
    assert notice.code == "preprocess-undecided" and "too few" in notice.text
    right = audited(model, save(tmp_path, *pictures(8, seed=5)))
    assert (right.better, right.hint, right.at_chance) == (None, None, False)


def test_labels_of_another_model_are_at_chance(tmp_path: Path) -> None:
    images, labels = pictures(160, seed=3)
    mixed = np.random.default_rng(0).permutation(labels)
    found = audited(classifier(), save(tmp_path, images, mixed))
    assert found.better is None and found.at_chance
    assert [one.code for one in audit_warnings(found, "top1", images=True)] == ["preprocess-chance"]


# Real models, and the commands


def direction_model() -> Path:
    """The classifier inside rapidocr-onnxruntime, of which nothing is imported."""
    named = files("rapidocr-onnxruntime") or []
    found = [one for one in named if one.name == "ch_ppocr_mobile_v2.0_cls_infer.onnx"]
    return Path(str(found[0].locate()))


def direction_set(root: Path, folder: Path, count: int) -> Path:
    script = runpy.run_path(str(root / "examples" / "render_text_lines.py"))
    script["write_labelled"](folder, count, np.random.default_rng(7))
    return folder


def test_the_0_to_1_scale_on_a_text_direction_classifier(root: Path, tmp_path: Path) -> None:
    ready = ready_model(direction_model(), ModelOptions(size=(48, 192)))
    lines = direction_set(root, tmp_path / "lines", 32)
    right = Preprocessing("fit", color="bgr", mean=(127.5,), std=(127.5,))
    found = audit_preprocess(ready.model, ready.samples(lines, right), TOP1)
    assert found.value > 0.9 and not audit_warnings(found, "top1", images=True)
    wrong = Preprocessing("fit", color="bgr", mean=(0.5,), std=(0.5,))
    found = audit_preprocess(ready.model, ready.samples(lines, wrong), TOP1)
    assert found.at_chance and found.subject == "scale" and found.better is not None
    said = {render(one.change) for one in (found.better, *found.equals)}
    assert {"--mean 127.5 --std 127.5", "--mean 0 --std 255"} <= said  # it is right with either
    assert found.better.value > 0.9


class Heard(Progress):
    def __init__(self) -> None:
        self.notices: list[Diagnostic] = []
        self.steps = 0

    def step(self, activity: str, done: int, total: int | None = None) -> None:
        self.steps += 1

    def warn(self, notice: Diagnostic) -> None:
        self.notices.append(notice)


def of_the_preprocess(notices: Any) -> list[str]:
    return [render(one.text) for one in notices if one.code.startswith("preprocess-")]


def test_mean_and_std_swapped_on_the_demo_model() -> None:
    """The warning is there before the model is measured, and in the report once."""
    model, labelled = sample_path(MODEL), sample_path(TEST)
    swapped = Preprocessing(mean=(90,), std=(73,))
    heard = Heard()
    recipe = make_recipe(
        model, eval=labelled, eval_count=120, preprocessing=swapped, allow=["preprocess"]
    )
    report = check(recipe, model, heard)
    (text,) = of_the_preprocess(report.targets[0].warnings)
    assert of_the_preprocess(heard.notices) == [text]
    assert text.startswith("the original model's top1 is 0.2")
    assert text.endswith(" with --mean 73 --std 90")
    assert render(heard.notices[0].hint) == "give --mean 73 --std 90"


SWAPPED = [sample_path(MODEL), "--eval", sample_path(TEST), "--eval-count", 60]
SWAPPED += ["--mean", 90, "--std", 73]


def test_check_stops_unless_it_is_let_pass(rockpress: Run) -> None:
    line = ["check", sample_path(MODEL), *SWAPPED, "--json"]
    code, out, err = rockpress(*line)
    assert (code, out) == (1, "")
    (error, hint) = err.splitlines()[-2:]
    assert error.startswith("error: ") and "the samples are fed wrongly" in error
    assert hint == "hint: give --mean 73 --std 90; to go on all the same, give --allow preprocess"
    code, out, err = rockpress(*line, "--allow", "preprocess")
    assert code == 0
    assert err.count("[preprocess-mean-std]") == 1 and "--mean 73 --std 90" in err
    codes = [warning["code"] for warning in json.loads(out)["targets"][0]["warnings"]]
    assert codes == ["preprocess-mean-std", "retention-too-few-samples"]
    code, _, err = rockpress(*line, "--allow", "everything")
    assert code == 2 and "preprocess" in err


def test_run_stops_before_it_builds_and_a_dry_run_remembers(tmp_path: Path, rockpress: Run) -> None:
    line = ["run", *SWAPPED, "--scheme", "float16", "-o", tmp_path / "build"]
    assert rockpress(*line, "--dry-run")[0] == 0  # nothing has looked yet
    code, _, err = rockpress(*line)
    assert code == 1 and "reference-float16" not in err and not (tmp_path / "build").exists()
    ended = rockpress(*line, "--dry-run")
    assert ended.code == 1 and ended.err.splitlines() == err.splitlines()[-2:]
    ended = rockpress(*line, "--dry-run", "--allow", "preprocess")
    assert ended.code == 0 and ended.err.count("[preprocess-mean-std]") == 1


def test_a_dry_run_looks_at_the_options_themselves(tmp_path: Path, rockpress: Run) -> None:
    line = ["run", *SWAPPED[:3], "--mean", 0.286, "--std", 0.353, "--scheme", "float16"]
    ended = rockpress(*line, "-o", tmp_path / "build", "--dry-run")
    assert ended.code == 0 and ended.err.count("[preprocess-scale]") == 1


def test_a_recipe_lets_it_pass(tmp_path: Path, rockpress: Run) -> None:
    recipe = tmp_path / "rockpress.toml"
    lines = [f"model = {str(sample_path(MODEL))!r}", f"eval = {str(sample_path(TEST))!r}"]
    lines += ["eval-count = 60", "mean = 90", "std = 73", 'scheme = "float16"']
    recipe.write_text("\n".join(lines))
    assert rockpress("run", recipe, "-o", tmp_path / "build", "-q")[2].endswith(
        'give mean = [73.0] std = [90.0]; to go on all the same, give allow = ["preprocess"]\n'
    )
    recipe.write_text("\n".join([*lines, 'allow = ["preprocess"]']))
    ended = rockpress("run", recipe, "-o", tmp_path / "build", "--dry-run")
    assert ended.code == 0 and "[preprocess-mean-std]" in ended.err


@pytest.mark.parametrize(
    ("wrong", "is_wrong"),
    [({}, False), ({"color": "bgr"}, True), ({"mean": (0,), "std": (1,)}, False)],
)
def test_only_what_is_near_chance_stops(
    wrong: Mapping[str, Any], is_wrong: bool, tmp_path: Path
) -> None:
    """The wrong scale costs this model half of what it has above chance, the colour all of it."""
    found = audited(classifier(), save(tmp_path, *pictures(160, seed=3)), **wrong)
    assert found.is_wrong == is_wrong
    assert found.better is None or found.chance == pytest.approx(1 / 8, abs=0.03)
    with pytest.raises(SamplesError) if is_wrong else nullcontext():
        require_preprocess(found, "top1", images=True)


@pytest.mark.parametrize(
    ("code", "wrong"),
    [
        ("preprocess-color", {"color": "bgr"}),
        ("preprocess-resize", {"resize": "fit"}),
        ("preprocess-layout", {"layout": "nhwc"}),
        ("preprocess-color", {"color": "bgr", "resize": "stretch"}),
    ],
)
def test_who_gives_what_the_hint_says_is_rid_of_the_warning(
    code: str, wrong: Mapping[str, Any], tmp_path: Path
) -> None:
    path = save(tmp_path, *pictures(160, seed=3))
    (warning,) = audit_warnings(audited(classifier(), path, **wrong), "top1", images=True)
    assert warning.code == code
    given = {**wrong, **dict(mentioned(warning.hint))}
    assert not audit_warnings(audited(classifier(), path, **given), "top1", images=True)


def test_more_samples_decide(tmp_path: Path) -> None:
    few, many = (pictures(count, seed=5) for count in (8, 160))
    found = audited(classifier(), save(tmp_path, *few), color="bgr")
    (warning,) = audit_warnings(found, "top1", images=True)
    assert warning.code == "preprocess-undecided" and mentioned(warning.hint) == [("eval", None)]
    found = audited(classifier(), save(tmp_path, *many), color="bgr")
    (warning,) = audit_warnings(found, "top1", images=True)
    assert warning.code == "preprocess-color"


def test_both_of_two_settings_that_are_as_good_are_in_the_hint() -> None:
    audit = PreprocessAudit(
        samples=99,
        value=0.26,
        at_chance=True,
        subject="scale",
        better=Suggestion("A", 0.996),
        equals=(Suggestion("B", 0.992),),
        chance=0.25,
    )
    with pytest.raises(SamplesError) as caught:
        require_preprocess(audit, "top1", images=True)
    assert caught.value.hint.startswith("give A or B, whichever the model was trained with; ")
    with pytest.raises(SamplesError) as caught:
        require_preprocess(audit, "top1", images=False)
    assert caught.value.hint.startswith("save the samples again in that form; ")


def test_a_scale_is_told_once() -> None:
    """By the audit, which has the values to give, not by the look of the options as well."""
    labelled, heard = sample_path(TEST), Heard()
    small = Preprocessing(mean=(0.286,), std=(0.353,))
    options: dict[str, Any] = {"eval_count": 120, "preprocessing": small, "allow": ["preprocess"]}
    recipe = make_recipe(sample_path(MODEL), eval=labelled, **options)
    report = check(recipe, sample_path(MODEL), heard)
    codes = [warning.code for warning in report.targets[0].warnings]
    assert codes == ["preprocess-scale", "retention-too-few-samples"]
    assert [notice.code for notice in heard.notices] == ["preprocess-scale"]
    assert "top1" in report.targets[0].warnings[0].text


# Its parts


def test_the_audit_runs_some_of_the_samples_only(tmp_path: Path) -> None:
    model, path = classifier(), save(tmp_path, *pictures(800, seed=3))
    heard = Heard()
    samples = open_samples(path, INPUT, Preprocessing(**RIGHT))
    found = audit_preprocess(model, samples, TOP1, progress=heard)
    assert found.samples == MOST
    assert heard.steps < 2 * MOST  # one pass, and the worst few with the other settings


def test_a_metric_where_less_is_better(tmp_path: Path) -> None:
    def wrong(outputs: Any, labels: Any) -> NDArray[np.float64]:
        miss: NDArray[np.float64] = (outputs[0].argmax(1) != labels).astype(np.float64)
        return miss

    metric = BoundMetric(UserMetric("wrong", wrong, lower_is_better=True))
    path = save(tmp_path, *pictures(160, seed=3))
    samples = open_samples(path, INPUT, Preprocessing(**{**RIGHT, "color": "bgr"}))
    found = audit_preprocess(classifier(), samples, metric)
    assert found.better is not None and render(found.better.change) == "--color rgb"
    assert found.better.value < 0.1 < 0.4 < found.value
    assert found.is_wrong and found.chance == pytest.approx(7 / 8, abs=0.03)


@pytest.mark.parametrize(("wins", "losses"), [(0, 0), (9, 1), (3, 8), (40, 22)])
def test_the_sign_test_is_the_binomial_one(wins: int, losses: int) -> None:
    chances = np.ones(1)
    for _ in range(wins + losses):
        chances = np.convolve(chances, [0.5, 0.5])
    expected = chances[chances <= chances[wins] * (1 + 1e-9)].sum()
    assert sign_test(wins, losses) == pytest.approx(expected)


def test_a_layout_of_its_own_is_fed_as_tensors(tmp_path: Path) -> None:
    images, labels = pictures(2, seed=0)
    path = save(tmp_path, images, labels)
    planar = open_samples(path, INPUT)
    other = open_samples(path, INPUT, Preprocessing(layout="nhwc"))
    assert planar.npu_feeds(0)["x"].dtype == np.uint8
    fed = other.npu_feeds(0)["x"]
    assert fed.dtype == np.float32 and fed.shape == INPUT["x"]
    as_planar = fed.reshape(1, HEIGHT, WIDTH, 3).transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(as_planar, planar.feeds(0)["x"])


@pytest.mark.parametrize(("layout", "size"), [(None, (8, 3)), ("nchw", (8, 3)), ("nhwc", (3, 8))])
def test_a_layout_decides_where_the_shape_fits_both(
    layout: Any, size: tuple[int, int], tmp_path: Path
) -> None:
    path = save(tmp_path, *pictures(2, seed=0))
    samples = open_samples(path, {"x": (1, 3, 8, 3)}, Preprocessing(layout=layout))
    assert samples.preprocess is not None and samples.preprocess.size == size
