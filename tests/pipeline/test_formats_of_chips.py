"""A number format that a chip lacks is refused alike by every command, before anything is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from commands import Run
from rockpress.calibration_data.preprocessing import DEFAULT_PREPROCESSING
from rockpress.convert.chips.targets import TARGETS, find_target
from rockpress.core.errors import OptionError
from rockpress.pipeline.prune_file import prune_file
from rockpress.pipeline.quantize_file import quantize_file
from rockpress.pipeline.recipes.recipe import make_recipe
from rockpress.pipeline.requirements import require_possible
from rockpress.pipeline.samples.ready_model import ready_model
from rockpress.pipeline.tasks.pruning import cost_of, prune_task
from rockpress.prune.results.budget import Budget
from rockpress.quantize.choices.names import scheme_names
from rockpress.quantize.schemes import find_scheme

LACKING = [
    (target.name, scheme)
    for target in TARGETS
    for scheme in scheme_names()
    if scheme not in target.dtypes
]


@pytest.mark.parametrize(("target", "scheme"), LACKING)
def test_quantize_and_run_refuse_it_alike(tmp_path: Path, target: str, scheme: str) -> None:
    (tmp_path / "m.onnx").write_bytes(b"never read")
    recipe = make_recipe(tmp_path / "m.onnx", calib=tmp_path, target=(target,), scheme=scheme)
    recipe = recipe.with_options(family="off")
    with pytest.raises(OptionError, match=f"{target} has no {scheme}") as caught:
        require_possible(recipe)
    assert f"it has: {', '.join(find_target(target).dtypes)}" in caught.value.hint
    if find_scheme(scheme).quantizes:
        with pytest.raises(OptionError, match=f"{target} has no {scheme}"):
            quantize_file(recipe, tmp_path / "q.onnx")


@pytest.mark.parametrize("target", [target.name for target in TARGETS])
@pytest.mark.parametrize("options", [{"prune": "cycles=-30%"}, {"max_drop": 0.02}])
def test_prune_counts_cycles_in_a_format_that_the_chip_has(
    small_cnn: Path, image_folder: Path, target: str, options: dict[str, object]
) -> None:
    recipe = make_recipe(small_cnn, calib=image_folder, target=(target,), **options)
    ready = ready_model(small_cnn)
    calib = ready.samples(image_folder, DEFAULT_PREPROCESSING, 2)
    task = prune_task(ready.model, calib, recipe, find_target(target))
    assert task.scheme in find_target(target).dtypes


def test_prune_takes_budgets_in_cycles_on_a_chip_of_float16(
    rockpress: Run, small_cnn: Path, image_folder: Path, tmp_path: Path
) -> None:
    command = ("prune", small_cnn, "-o", tmp_path / "p.onnx", "--calib", image_folder)
    code, out, err = rockpress(*command, "--target", "rk2118", "--prune", "cycles=-20%")
    assert code == 0, err
    assert "cycles (estimated) -" in out
    code, _, err = rockpress(*command, "--target", "rk2118", "--prune", "latency=-20%")
    assert code == 2
    assert "for example cycles=-20%" in err


def test_prune_refuses_a_format_of_a_recipe_that_the_chip_lacks(
    small_cnn: Path, image_folder: Path, tmp_path: Path
) -> None:
    recipe = make_recipe(small_cnn, calib=image_folder, target=("rv1106",), prune="cycles=-20%")
    with pytest.raises(OptionError, match="rv1106 has no float16"):
        prune_file(recipe.with_options(scheme="float16"), tmp_path / "p.onnx")


def test_cycles_of_a_format_that_a_chip_lacks_are_no_cost() -> None:
    with pytest.raises(OptionError, match="only cycles"):
        cost_of(Budget("latency", 0.2), find_target("rk2118"), "float16")
