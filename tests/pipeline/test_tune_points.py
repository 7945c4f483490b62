"""Whether the points of a search can be run: refused before anything is, as a run refuses it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from commands import Run
from rockpress.convert.chips.targets import find_target
from rockpress.core.errors import OptionError, PackageError
from rockpress.core.training import pytorch
from rockpress.pipeline.recipes.recipe import Recipe, make_recipe
from rockpress.pipeline.search.default_space import search_space
from rockpress.pipeline.search.points import Failure
from rockpress.pipeline.searchable import has_training, require_points

Values = dict[str, list[Any]]
RK3588 = find_target("rk3588")
BUDGETS = ["off", "latency=-10%"]


@pytest.fixture
def recipe(small_cnn: Path, image_folder: Path) -> Recipe:
    return make_recipe(small_cnn, calib=image_folder, target="rk3588", family="off")


@pytest.fixture
def no_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pytorch, "find_spec", lambda name: None)


def require(recipe: Recipe, values: Values) -> None:
    require_points(recipe, search_space(recipe, RK3588, "latency", values), values)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"scheme": ["w4a16", "w8a8"]}, r"\[tune\] scheme: rk3588 has no w4a16"),
        ({"prune": ["off", "latency=-150%"]}, r"\[tune\] prune: .* between 0 % and 100 %"),
        ({"mixed": ["off", "latency=8"]}, r"\[tune\] mixed: 'latency=8' is no budget"),
        ({"size": [[32, 32], [20, 20]]}, r"\[tune\] size: .*32"),
        ({"outputs": [[], ["nowhere"]]}, r"\[tune\] outputs: .*no tensor 'nowhere'"),
        ({"keep": [[], ["nowhere*"]]}, r"\[tune\] keep: .*nowhere"),
        ({"calib": ["nowhere"]}, r"\[tune\] calib: .*nowhere"),
        ({"prune": BUDGETS, "only": [["nowhere*"]]}, r"\[tune\] only: .*nowhere"),
    ],
)
def test_a_value_that_no_point_can_have_is_refused(
    recipe: Recipe, values: Values, text: str
) -> None:
    with pytest.raises(OptionError, match=text):
        require(recipe, values)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"train": ["off", "distill"]}, r"\[tune\] train: .*train.* is for w8a8 and w4a16"),
        ({"method": ["auto", "mse"]}, r"\[tune\] method: .*mse.* which 16 bits do not need"),
    ],
)
def test_a_value_that_goes_with_no_number_format_of_the_search_is_refused(
    values: Values, text: str, recipe: Recipe
) -> None:
    recipe = recipe.with_options(target="rk3562")
    with pytest.raises(OptionError, match=text):
        require(recipe, {**values, "scheme": ["w8a16"]})
    if "method" in values:  # it goes with the other
        require(recipe, {**values, "scheme": ["w8a16", "w8a8"]})


def test_a_method_that_the_number_format_has_not_is_not_searched(recipe: Recipe) -> None:
    recipe = recipe.with_options(target="rk3562")
    for scheme, methods in (("w8a16", ("auto",)), ("w8a8", ("auto", "mse"))):
        fixed = recipe.with_options(scheme=scheme)
        (values,) = (
            knob.values
            for knob in search_space(fixed, find_target("rk3562"), "latency", {}).knobs
            if knob.name == "method"
        )
        assert values == methods


@pytest.mark.usefixtures("no_torch")
@pytest.mark.parametrize(
    ("options", "values", "asked"),
    [
        ({}, {"train": ["off", "distill"]}, "train"),
        ({}, {"train": ["off", "distill"], "scheme": ["float16", "w8a8"]}, "train"),
        ({}, {"recover": ["least-squares", "distill"]}, "recover"),
        ({}, {"recover": ["distill"], "prune": BUDGETS}, "recover"),
        ({"recover": "distill"}, {}, "recover"),  # the budgets of pruning are those by default
        ({"scheme": "float16", "train": "distill", "recover": "distill"}, {}, "recover"),
    ],
)
def test_a_search_that_takes_torch_is_refused_as_a_run_is(
    options: dict[str, Any], values: Values, asked: str, recipe: Recipe
) -> None:
    recipe = recipe.with_options(**options)
    with pytest.raises(PackageError, match=f"^--{asked} distill needs PyTorch") as caught:
        require(recipe, values)
    assert not Failure(str(caught.value)).is_final  # where a worker says it of a point
    require(recipe.with_options(scheduler="tcp://127.0.0.1:8786"), values)  # it may be there
    assert has_training(recipe, search_space(recipe, RK3588, "latency", values))


@pytest.mark.usefixtures("no_torch")
@pytest.mark.parametrize(
    ("options", "values"),
    [
        ({"scheme": "float16"}, {"train": ["off", "distill"]}),
        ({"prune": "off"}, {"recover": ["least-squares", "distill"]}),
        ({}, {"recover": ["least-squares", "none"], "train": ["off"]}),
    ],
)
def test_no_torch_is_asked_for_where_no_point_trains(
    options: dict[str, Any], values: Values, recipe: Recipe
) -> None:
    recipe = recipe.with_options(**options)
    require(recipe, values)
    assert not has_training(recipe, search_space(recipe, RK3588, "latency", values))


@pytest.mark.toolkit
@pytest.mark.usefixtures("no_torch")
@pytest.mark.parametrize(
    ("space", "option"), [("train", "--train distill"), ("recover", "--recover distill")]
)
def test_the_command_ends_as_run_does(
    space: str, option: str, recipe: Recipe, rockpress: Run, tmp_path: Path
) -> None:
    file, out = tmp_path / "r.toml", tmp_path / "out"
    top = f'model = "{recipe.model}"\ncalib = "{recipe.samples.calib}"\n'
    file.write_text(
        f'{top}[tune]\n{space} = ["{"off" if space == "train" else "none"}", "distill"]\n'
    )
    searched = rockpress("tune", file, "-o", out)
    words = option.split()
    run = ("run", recipe.model, "--calib", recipe.samples.calib, "-o", out, "--prune", "macs=-10%")
    ran = rockpress(*run, *words)
    assert searched.code == ran.code == 1
    assert f'{words[0][2:]} = "distill" needs PyTorch' in searched.err
    assert f"{option} needs PyTorch" in ran.err
    for ended in (searched, ran):
        assert "pip install 'torch<=2.4.0'" in ended.err
    assert not out.exists()
