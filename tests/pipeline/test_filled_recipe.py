"""What a model's family sets: only what nobody gave, and never without saying so."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from commands import Run
from detectors import detector
from exports import with_metadata
from rockpress.calibration_data.preprocessing import Preprocessing
from rockpress.core.diagnostics import option
from rockpress.core.errors import ModelError, OptionError
from rockpress.core.progress import Progress
from rockpress.core.results.family_figure import TakenOption
from rockpress.pipeline.filled_recipe import FilledRecipe, fill_recipe
from rockpress.pipeline.held_notes import HeldNotes
from rockpress.pipeline.recipes.recipe import Recipe, make_recipe
from rockpress.pipeline.recipes.recipe_file import read_jobs
from samples import noise_images, pixels, save_images


class Notes(Progress):
    """Keeps the notes."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def note(self, text: str) -> None:
        self.texts.append(text)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A detector that says it is one of Ultralytics."""
    path = tmp_path_factory.mktemp("family") / "yolo.onnx"
    says = {"task": "detect", "stride": "16", "imgsz": "[16, 16]"}
    onnx.save(with_metadata(detector(prepared=False), **says), path)
    return path


def filled(model: Path, verb: str = "run", **options: Any) -> FilledRecipe:
    return fill_recipe(make_recipe(model, **options), verb)


def taken(outcome: FilledRecipe) -> dict[str, Any]:
    return {each.option: each.value for each in outcome.family.taken} if outcome.family else {}


def test_what_nobody_gave_is_set_and_told(model: Path) -> None:
    notes = Notes()
    outcome = fill_recipe(make_recipe(model), "run", notes)
    assert outcome.recipe.preprocessing.resize == "letterbox"
    assert outcome.recipe.preprocessing.std == (255.0,)
    assert outcome.recipe.metric.metric == "map50"
    assert notes.texts == [notes.texts[0]]
    assert notes.texts[0].startswith("family ultralytics-detect: ")
    assert "resize letterbox" in notes.texts[0] and "from its metadata" in notes.texts[0]
    assert outcome.takes_pixels


def test_what_was_given_wins_also_where_it_is_the_default(model: Path) -> None:
    outcome = filled(model, resize="stretch", std=1, metric="top1")
    assert outcome.recipe.preprocessing == Preprocessing()
    assert outcome.recipe.metric.metric == "top1"
    assert not {"resize", "std", "mean", "metric"} & taken(outcome).keys()


def test_a_group_that_is_given_whole_is_given(model: Path) -> None:
    assert filled(model, preprocessing=Preprocessing()).recipe.preprocessing == Preprocessing()
    bare = Recipe(model, preprocessing=Preprocessing(resize="crop"))
    assert fill_recipe(bare, "run").recipe.preprocessing.resize == "crop"


def test_mean_and_std_are_taken_together_or_not_at_all(model: Path) -> None:
    assert filled(model, mean=7).recipe.preprocessing.std == (1.0,)


def test_off_takes_nothing(model: Path) -> None:
    outcome = filled(model, family="off")
    assert outcome.family is None and outcome.recipe == make_recipe(model, family="off")


def test_only_options_of_the_verb_are_taken(model: Path) -> None:
    assert "metric" not in taken(filled(model, "inspect"))
    assert {"std", "resize"} <= taken(filled(model, "convert")).keys()


def test_filling_again_takes_nothing_more(model: Path) -> None:
    first = filled(model)
    second = fill_recipe(first.recipe, "run")
    assert second.recipe == first.recipe and taken(second) == {}


def test_tensors_are_fed_as_they_are(model: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((2, 3, 16, 16), np.float32))
    outcome = filled(model, calib=tmp_path / "x.npy")
    assert outcome.recipe.preprocessing == Preprocessing()
    assert outcome.recipe.metric.metric == "map50" and not outcome.takes_pixels
    images = filled(model, calib=noise_images(tmp_path / "images", 2))
    assert images.recipe.preprocessing.resize == "letterbox"


def test_a_named_family_must_fit(small_cnn: Path) -> None:
    with pytest.raises(OptionError, match="cannot be of it: it takes 1x3x32x32 and gives 1x10"):
        filled(small_cnn, family="ultralytics-detect")
    assert filled(small_cnn).family is None


def test_what_is_no_model_is_left_to_whoever_loads_it(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"\x08")
    assert filled(tmp_path / "m.onnx").family is None
    with pytest.raises(ModelError):
        filled(tmp_path / "m.onnx", family="ultralytics-detect")


def test_a_recipe_has_the_key(model: Path, tmp_path: Path) -> None:
    text = f'model = {json.dumps(str(model))}\nresize = "stretch"\n'
    (tmp_path / "r.toml").write_text(text)
    outcome = fill_recipe(read_jobs(tmp_path / "r.toml")[0].recipe, "run")
    assert outcome.recipe.preprocessing.resize == "stretch"
    assert outcome.recipe.preprocessing.std == (255.0,)
    (tmp_path / "r.toml").write_text(text + 'family = "off"\n')
    assert fill_recipe(read_jobs(tmp_path / "r.toml")[0].recipe, "run").family is None


def test_check_says_it_everywhere(model: Path, tmp_path: Path, rockpress: Run) -> None:
    images = noise_images(tmp_path / "images", 2)
    files = [tmp_path / name for name in ("r.json", "r.md", "r.html")]
    reports = [word for file in files for word in ("--report", file)]
    ended = rockpress("check", model, model, "--calib", images, *reports)
    assert ended.code == 0
    assert "rockpress: family ultralytics-detect: " in ended.err
    document = json.loads(files[0].read_text())
    assert document["family"]["name"] == "ultralytics-detect"
    row = {"option": "resize", "value": "letterbox", "source": "metadata"}
    assert row in document["family"]["taken"]
    assert document["recipe"]["resize"] == "letterbox"
    assert all("family ultralytics" in file.read_text() for file in files[1:])
    quiet = rockpress("check", model, model, "--calib", images, "--quiet", "--family", "off")
    assert "family" not in quiet.err + quiet.out


def test_an_error_before_anything_runs_is_all_that_is_said(
    model: Path, tmp_path: Path, rockpress: Run
) -> None:
    frames = save_images(tmp_path / "frames", [pixels(64, 64, 3)])
    for words, told in (
        ([], "quantization needs calibration samples"),
        (["--calib", tmp_path / "absent"], "the samples do not exist"),
        (
            ["--calib", frames, "--eval", tmp_path / "absent"],
            "hint: check the path, or leave out --eval where there are no labels",
        ),
    ):
        ended = rockpress("run", model, *words)
        assert told in ended.err
        assert [line.split(":")[0] for line in ended.err.splitlines()] == ["error", "hint"]


def test_but_for_one_about_what_was_taken() -> None:
    told = Notes()
    notes = HeldNotes(told)
    notes.note("family vad: metric vad")
    with suppress(OptionError), notes.told_after({"metric"}):
        raise OptionError(f"{option('calib')} is empty")
    assert told.texts == []
    with suppress(OptionError), notes.told_after({"metric", "metric_option"}):
        raise OptionError(f"{option('metric-option', {'head': 'x'})} does not fit")
    assert told.texts == ["family vad: metric vad"]


def test_a_dry_run_and_inspect_say_it(model: Path, tmp_path: Path, rockpress: Run) -> None:
    images = noise_images(tmp_path / "images", 2)
    planned = rockpress("run", model, "--calib", images, "--dry-run", "-o", tmp_path / "build")
    assert "family ultralytics-detect: " in planned.out
    assert "family ultralytics-detect: " in rockpress("inspect", model).out
    shown = json.loads(rockpress("inspect", model, "--json").out)
    assert shown["family"]["taken"] and TakenOption(**shown["family"]["taken"][0])


def test_init_writes_it_into_the_recipe(model: Path, tmp_path: Path, rockpress: Run) -> None:
    assert rockpress("init", model, "-o", tmp_path).code == 0
    recipe = read_jobs(tmp_path / "rockpress.toml")[0].recipe
    assert recipe.preprocessing.resize == "letterbox" and recipe.metric.metric == "map50"
    assert taken(fill_recipe(recipe, "run")).keys() <= {"metric_option.head"}


def test_weights_that_are_kept_apart_are_not_read(model: Path, tmp_path: Path) -> None:
    apart = onnx.load(model)
    onnx.save(
        apart, tmp_path / "m.onnx", save_as_external_data=True, location="w", size_threshold=0
    )
    (tmp_path / "w").unlink()
    assert taken(filled(tmp_path / "m.onnx"))["resize"] == "letterbox"


@pytest.mark.parametrize("shape", [(5, 6), (9, -1, 4, -2)])
def test_a_weight_that_is_cut_short_ends_nothing(
    model: Path, tmp_path: Path, shape: tuple[int, ...]
) -> None:
    broken = onnx.load(model)
    broken.graph.initializer[0].dims[:] = shape
    onnx.save(broken, tmp_path / "m.onnx")
    assert filled(tmp_path / "m.onnx").family is None
    with pytest.raises(ModelError, match="is not complete"):
        filled(tmp_path / "m.onnx", family="ultralytics-detect")


def test_a_model_that_is_not_valid_is_left_to_whoever_loads_it(model: Path, tmp_path: Path) -> None:
    broken = onnx.load(model)
    layer = next(node for node in broken.graph.node if node.op_type == "Conv")
    del layer.input[:]
    onnx.save(broken, tmp_path / "m.onnx")
    assert filled(tmp_path / "m.onnx").family is None
    with pytest.raises(ModelError, match="not a valid ONNX model"):
        filled(tmp_path / "m.onnx", family="ultralytics-detect")
