"""Other sizes of the input in a search: which there are, and what they cost of the whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graphs import small_cnn
from rockpress.convert.chips.targets import find_target
from rockpress.core.errors import OptionError
from rockpress.core.graphs.model import save_model
from rockpress.pipeline.input_sizes import (
    SizedRetention,
    in_size,
    measured,
    size_values,
    with_size,
)
from rockpress.pipeline.recipes.recipe import Recipe, make_recipe
from rockpress.pipeline.recipes.recipe_file import read_jobs
from rockpress.pipeline.search.default_space import search_space
from rockpress.pipeline.search.points import Failure, Measure, Point
from rockpress.pipeline.search.predicted_cost import PredictedCost
from rockpress.pipeline.search.trial_recipe import trial_recipe

RK3588 = find_target("rk3588")
SMALLER = "[24, 24]"


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    """A model with free height and width, and images with the classes that it sees in 32x32."""
    model = small_cnn()
    for dim in model.graph.input[0].type.tensor_type.shape.dim[2:]:
        dim.dim_param = "side"
    save_model(model, tmp_path / "m.onnx")
    images = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3), np.uint8)
    np.savez(tmp_path / "e.npz", images=images, labels=np.arange(40) % 10)
    return make_recipe(
        *(tmp_path / "m.onnx",), eval=tmp_path / "e.npz", size=[32, 32], std=[64.0], family="off"
    )


def test_a_free_input_has_smaller_sizes_and_its_own_first(recipe: Recipe) -> None:
    assert size_values(recipe.with_options(size=[64, 128])) == ("[64, 128]", "[32, 96]")
    assert size_values(recipe.with_options(size=[40, 40])) == ("[40, 40]", "[32, 32]", "[24, 24]")


def test_without_labels_or_with_a_fixed_input_there_is_nothing_to_choose(
    recipe: Recipe, tmp_path: Path
) -> None:
    assert size_values(recipe.with_options(eval=None)) == ()
    save_model(small_cnn(), tmp_path / "fixed.onnx")
    assert size_values(recipe.with_options(model=tmp_path / "fixed.onnx")) == ()


def test_the_space_begins_with_the_size_that_the_recipe_has(recipe: Recipe) -> None:
    space = search_space(recipe, RK3588, "latency", {}, ("[32, 32]", SMALLER))
    sizes = [point["size"] for point in space.first]
    assert sizes[0] == "[32, 32]" and sizes.count(SMALLER) == 1


def test_what_a_size_costs_is_of_the_float_model_in_the_size_of_the_recipe(recipe: Recipe) -> None:
    held = SizedRetention(recipe)
    metric, whole = measured(recipe)
    _, smaller = measured(recipe.with_options(size=[24, 24]))
    kept, low, high = held.float_retention((24, 24), {})
    assert kept == pytest.approx(smaller.value / whole.value)
    assert low < kept < high and metric.name == "top1"
    assert held.float_retention((32, 32), {}) == (1.0, 1.0, 1.0)


def test_a_result_in_another_size_is_held_against_the_model_as_it_is(recipe: Recipe) -> None:
    held, own = SizedRetention(recipe), Measure(2.0, 0.9, 0.8, 1.0)
    kept, low, high = held.float_retention((24, 24), {"eval_count": 30})
    outcome = held(Point.of({"size": SMALLER}), {"eval_count": 30}, own)
    assert outcome == Measure(2.0, 0.9 * kept, 0.8 * low, 1.0 * high)
    assert held(Point.of({"size": "[32, 32]"}), {}, own) == own
    assert held(Point.of({"scheme": "w8a8"}), {}, own) == own
    failure = Failure("it does not build")
    assert held(Point.of({"size": SMALLER}), {}, failure) == failure


def test_a_size_in_which_the_model_does_not_run_is_a_failure(recipe: Recipe) -> None:
    fixed = recipe.model.with_name("fixed.onnx")
    save_model(small_cnn(), fixed)
    held = SizedRetention(recipe.with_options(model=fixed))
    outcome = held(Point.of({"size": SMALLER}), {}, Measure(2.0, 0.9, 0.8, 1.0))
    assert isinstance(outcome, Failure) and "does not fit" in outcome.reason


def test_a_smaller_input_is_predicted_to_cost_less(recipe: Recipe) -> None:
    model = in_size(recipe, "[32, 32]")
    cost = PredictedCost(model, RK3588, "latency", lambda size: in_size(recipe, size))
    points = [Point.of({"size": size}) for size in ("[32, 32]", SMALLER)]
    assert cost(points[1], "w8a8") < cost(points[0], "w8a8") == cost(Point.of({}), "w8a8")


def test_lists_are_values_to_choose_from(recipe: Recipe, tmp_path: Path) -> None:
    given: dict[str, list[Any]] = {
        "size": [[32, 32], [24, 24]],
        "keep": [[], ["stem", "fir*"]],
        "recover": ["none"],
    }
    recipe = recipe.with_options(prune="macs=-10%")  # without that, there is nothing to keep
    space = search_space(recipe, RK3588, "latency", given)
    point = space.canonical({"size": SMALLER, "keep": '["stem", "fir*"]', "recover": "none"})
    (tmp_path / "p.toml").write_text(trial_recipe(recipe, point, {}))
    (job,) = read_jobs(tmp_path / "p.toml")
    assert job.recipe.shape.size == (24, 24)
    assert job.recipe.prune.keep == ("stem", "fir*")


def test_a_table_is_no_value_to_choose(recipe: Recipe) -> None:
    with pytest.raises(OptionError, match="a table cannot be searched"):
        search_space(recipe, RK3588, "latency", {"input": [{"x": [1, 3, 8, 8]}]})


def test_listed_sizes_need_labels_and_give_a_size_where_there_is_none(recipe: Recipe) -> None:
    unsized = make_recipe(recipe.model, eval=recipe.samples.eval)
    assert with_size(unsized, [[24, 24], [32, 32]]).shape.size == (24, 24)
    assert with_size(recipe, [[24, 24]]).shape.size == (32, 32)
    assert with_size(unsized, []) == unsized
    with pytest.raises(OptionError, match="without labels"):
        with_size(unsized.with_options(eval=None), [[24, 24]])
