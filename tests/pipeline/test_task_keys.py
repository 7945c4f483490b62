"""The key of a stage in the cache: all that the stage is given, and nothing else."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import onnx
import pytest

from option_values import other_value
from rockpress.calibration_data.bundled import CALIBRATION, MODEL, sample_path
from rockpress.calibration_data.preprocessing import Preprocessing
from rockpress.calibration_data.samples import Samples
from rockpress.convert.chips.targets import find_target
from rockpress.core.option_kinds import File
from rockpress.core.options import Option, options_in
from rockpress.core.training import pytorch
from rockpress.pipeline.caching.content_keys import key_of
from rockpress.pipeline.options.option_table import GROUPS, homes_of, options_of
from rockpress.pipeline.recipes.recipe import Recipe, make_recipe
from rockpress.pipeline.run_key import RunKey
from rockpress.pipeline.samples.ready_model import ready_model
from rockpress.pipeline.search.space import Knob, Space
from rockpress.pipeline.search_parts import search_parts, whole_digest
from rockpress.pipeline.tasks.distilling import DistilTask
from rockpress.pipeline.tasks.pruning import prune_task
from rockpress.pipeline.tasks.quantizing import quantize_task

Task = Callable[[Recipe, Samples], Any]


def distil(recipe: Recipe, calib: Samples) -> DistilTask:
    model = onnx.load(sample_path(MODEL))
    pruning, options = recipe.prune, recipe.distil
    return DistilTask(model, sample_path(MODEL), calib, pruning, options, recipe.run.seed, "2.13")


def prune(recipe: Recipe, calib: Samples) -> Any:
    return prune_task(onnx.load(sample_path(MODEL)), calib, recipe, chip(recipe))


def quantize(recipe: Recipe, calib: Samples) -> Any:
    return quantize_task(onnx.load(sample_path(MODEL)), calib, recipe, chip(recipe))


def chip(recipe: Recipe) -> Any:
    (name,) = recipe.run.target
    return find_target(name)


@pytest.fixture(scope="module")
def calib() -> Samples:
    ready = ready_model(sample_path(MODEL))
    return ready.samples(sample_path(CALIBRATION), Preprocessing(mean=(73.0,), std=(90.0,)), 8)


# which options each stage is given: those of whole groups, and single ones
STAGES: dict[str, tuple[Task, set[str], set[str]]] = {
    "prune": (prune, {"prune"}, {"scheme", "target", "seed"}),
    "distill": (distil, {"prune", "distil"}, {"seed"}),
    "quantize": (quantize, {"quantize", "metric"}, {"target", "seed", "toolkit_python"}),
}
# what the table has for all verbs, each option once
OPTIONS = {
    described.name: described for group in GROUPS.values() for described in options_in(group)
}


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("described", OPTIONS.values(), ids=OPTIONS)
def test_an_option_changes_the_keys_of_the_stages_that_have_it_and_no_other(
    described: Option, stage: str, calib: Samples
) -> None:
    task, groups, single = STAGES[stage]
    recipe = make_recipe("m.onnx")
    group, _ = homes_of(described.name)[0]
    before = getattr(getattr(recipe, group), described.name)
    value = other_value(described, before)
    if (stage, described.name) == ("prune", "scheme"):
        value = "float16"  # by one that the chip lacks nothing is counted
    changed = recipe.with_options(**{described.name: value})
    homes = {home for home, _ in homes_of(described.name)}
    is_given = bool(homes & groups) or described.name in single
    keys = [key_of(task(each, calib)) for each in (recipe, changed)]
    assert (keys[0] != keys[1]) == is_given


def test_the_metric_counts_for_pruning_where_it_judges(calib: Samples) -> None:
    plain, judged = (make_recipe("m.onnx", max_drop=drop) for drop in (None, 0.1))
    for recipe, counts in ((plain, False), (judged, True)):
        other = recipe.with_options(metric="top5")
        assert (key_of(prune(recipe, calib)) != key_of(prune(other, calib))) == counts


@pytest.mark.parametrize("described", options_of("run"), ids=lambda described: described.name)
def test_a_whole_run_has_all_options_in_its_key_but_those_that_change_no_result(
    described: Option, tmp_path: Path
) -> None:
    model = tmp_path / "m.onnx"
    model.write_bytes(sample_path(MODEL).read_bytes())
    recipe = make_recipe(model)
    group, _ = homes_of(described.name)[0]
    value = other_value(described, getattr(getattr(recipe, group), described.name))
    if isinstance(described.kind, File):
        value = sample_path(CALIBRATION)
    changed = recipe.with_options(**{described.name: value})
    keys = [RunKey(each, "2.5.0").key() for each in (recipe, changed)]
    assert (keys[0] != keys[1]) == (described.name not in ("timeout", "memory_limit", "jobs"))


@pytest.mark.parametrize("is_attacked", [False, True])
def test_an_attack_by_gradients_is_made_once_torch_is_there(
    is_attacked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = make_recipe(sample_path(MODEL), robustness=is_attacked)
    keys = []
    for spec in (None, object()):
        monkeypatch.setattr(pytorch, "find_spec", lambda name, spec=spec: spec)
        keys.append(RunKey(recipe, "2.5.0").key())
    assert (keys[0] != keys[1]) == is_attacked


def test_a_search_is_the_same_wherever_its_files_are(
    tmp_path: Path, image_folder: Path, labelled_folder: Path
) -> None:
    (tmp_path / "keys.txt").write_text("ab")
    moved = tmp_path / "moved"
    places = {"calib": image_folder, "eval": labelled_folder, "model": tmp_path / "m.onnx"}
    places["model"].write_bytes(sample_path(MODEL).read_bytes())
    parts = []
    for folder in (tmp_path, moved):
        for place in (*places.values(), tmp_path / "keys.txt") if folder == moved else ():
            moved.mkdir(exist_ok=True)
            (shutil.copytree if place.is_dir() else shutil.copy)(place, moved / place.name)
        model, calib, labelled = (folder / places[name].name for name in ("model", "calib", "eval"))
        option = {"charset": str(folder / "keys.txt")}
        recipe = make_recipe(model, calib=calib, eval=labelled, metric_option=option)
        parts.append(search_parts(recipe, "2.5.0", Space(()), "latency"))
    assert parts[0] == parts[1]


def test_what_differs_between_two_searches_has_its_name(image_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(sample_path(MODEL).read_bytes())
    recipe = make_recipe(tmp_path / "m.onnx", calib=image_folder, min_retention=0.9)
    parts = search_parts(recipe, "2.5.0", Space(()), "latency")
    for changed, name in (
        (recipe.with_options(calib_count=7), "calib-count"),
        (recipe.with_options(method="mse"), "method"),
        (recipe.with_options(calib=sample_path(CALIBRATION)), "calib"),
        (recipe.with_options(min_retention=0.95, trials=7, workers=2), None),
    ):
        other = search_parts(changed, "2.5.0", Space(()), "latency")
        assert {each for each in parts if other[each] != parts[each]} == ({name} if name else set())
    others = search_parts(recipe, "2.6.0", Space((Knob("rounds", (1, 2)),)), "size")
    assert {name for name in parts if others[name] != parts[name]} == {
        *("the toolkit", "the values to choose from", "for")
    }
    assert whole_digest(others) != whole_digest(parts)


def test_a_file_that_a_setting_names_counts_by_its_content(tmp_path: Path, calib: Samples) -> None:
    charset = tmp_path / "keys.txt"
    keys = []
    for text in ("ab", "abc"):
        charset.write_text(text)
        recipe = make_recipe("m.onnx", metric_option={"charset": str(charset)})
        keys.append(key_of(quantize(recipe, calib)))
    assert keys[0] != keys[1]


def test_a_task_is_keyed_by_all_of_its_fields(calib: Samples) -> None:
    task = prune(make_recipe("m.onnx", prune="cycles=-10%"), calib)
    assert set(key_of(task)) == {described.name for described in fields(task)}
    assert key_of(replace(task, share=0.2)) != key_of(task)
