"""Options without an effect beside the others are told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from commands import Run
from rockpress.core.diagnostics import mentions
from rockpress.pipeline.options.option_table import options_of
from rockpress.pipeline.recipes.recipe import make_recipe
from rockpress.pipeline.recipes.recipe_file import jobs_in
from rockpress.pipeline.tasks.idle_options import idle_in_all, idle_options


def told(verb: str = "run", **options: Any) -> list[str]:
    """The names of the options that are said to have no effect."""
    recipe = make_recipe("m.onnx", **options)
    flags = {described.flag for described in options_of(verb)}
    names = []
    for warning in idle_options(recipe, recipe, verb):
        assert warning.code == "option-idle"
        names += [name for name in mentions(warning.text.partition(" no effect:")[0])]
        assert set(names) <= flags
    return names


@pytest.mark.parametrize(
    ("given", "needs"),
    [
        ({"method": "mse"}, ({"scheme": "float16"}, {})),
        ({"search_choices": 3}, ({"mixed": "off"}, {})),
        ({"search_choices": 3}, ({"scheme": "w8a16"}, {"scheme": "w8a8"})),
        ({"search_time": 3.0}, ({"scheme": "float16", "mixed": "off"}, {})),
        ({"search_time": 3.0}, ({"target": "rv1103b"}, {"target": ("rv1103b", "rk3588")})),
        ({"mixed": "auto"}, ({"target": "rv1103b"}, {"target": "rv1103b", "scheme": "w4a16"})),
        ({"mixed": "off"}, ({"target": ("rv1103b", "rv1106b")}, {"target": "rv1106"})),
        ({"recover": "none"}, ({}, {"prune": "macs=-10%"})),
        ({"keep": ("a",)}, ({}, {"max_drop": 0.1})),
        ({"criterion": "magnitude"}, ({}, {"sparsity": "2:4"})),
        (
            {"recover_steps": 10},
            ({"prune": "macs=-10%"}, {"prune": "macs=-10%", "recover": "distill"}),
        ),
        ({"train_steps": 10}, ({}, {"train": "distill"})),
        ({"train": "distill"}, ({"scheme": "float16"}, {})),
        ({"calib_count": 8}, ({}, {"calib": Path("c")})),
        ({"eval_count": 8}, ({"calib": Path("c")}, {"eval": Path("e")})),
        ({"confidence": "lower"}, ({"max_size_mb": 1}, {"min_retention": 0.9})),
        ({"confidence": "lower"}, ({}, {"max_latency_ms": 3})),
        ({"attack_queries": 9}, ({}, {"robustness": True})),
        ({"attack_epsilon": 8}, ({}, {"robustness": True})),
        *(
            ({name: 8}, ({"robustness": True, "attack_queries": 0}, {"robustness": True}))
            for name in ("attack_epsilon", "attack_count")
        ),
        ({"rounds": 2}, ({"sparsity": "2:4"}, {"sparsity": "2:4", "prune": "macs=-10%"})),
    ],
)
def test_an_option_that_needs_another(
    given: dict[str, Any], needs: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    (name,) = given
    without, beside = needs
    assert told(**given, **without) == [name.replace("_", "-")]
    assert told(**given, **beside) == []


def test_options_of_another_verb_are_not_told() -> None:
    assert told("check", method="mse", scheme="float16") == []
    assert told("run", method="mse", scheme="float16", eval_count=3) == ["method", "eval-count"]


def test_a_search_may_choose_what_an_option_depends_on() -> None:
    assert told("tune", keep=("a",), recover_steps=3, method="mse", scheme="float16") == []
    assert told("tune", eval_count=3) == ["eval-count"]


@pytest.mark.toolkit
def test_a_dry_run_says_it_too(rockpress: Run, small_cnn: Path, image_folder: Path) -> None:
    line = ["run", small_cnn, "--calib", image_folder, "--keep", "a", "--dry-run"]
    ended = rockpress(*line)
    assert ended.code == 0
    assert ended.err.count("--keep has no effect: nothing is pruned") == 1


def test_it_is_said_at_once(rockpress: Run, small_cnn: Path, image_folder: Path) -> None:
    line = ["check", small_cnn, small_cnn, "--calib", image_folder, "--eval-count", "3"]
    ended = rockpress(*line, "--confidence", "lower")
    assert ended.code == 0
    told_lines = ended.err.splitlines()[:4]
    assert told_lines[0].startswith("warning: --eval-count has no effect: there are no samples")
    assert told_lines[1] == "hint: leave it out, or give what it needs"
    assert "--confidence has no effect: it is for --min-retention" in told_lines[2]


TWO = """
method = "mse"
keep = ["a"]
eval-count = 5
[models.a]
model = "a.onnx"
scheme = "float16"
confidence = "lower"
[models.b]
model = "b.onnx"
eval = "labelled"
"""


def test_what_models_share_is_told_once_where_none_has_a_use_for_it(tmp_path: Path) -> None:
    first, second = (
        job.with_options(search_choices=3, only=("b",)) for job in jobs_in(TWO, tmp_path / "r.toml")
    )
    recipes = [first.recipe, second.recipe]
    (warning,) = idle_in_all(recipes, "run")
    assert mentions(warning.text.partition(" no effect:")[0]) == ["keep", "only"]
    own = [mentions(each.text)[0] for each in idle_options(first.recipe, first.recipe, "run")]
    assert own == ["confidence"]
    assert list(idle_options(second.recipe, second.recipe, "run")) == []


def test_the_models_of_a_recipe_are_told_together(rockpress: Run, tmp_path: Path) -> None:
    recipe = tmp_path / "r.toml"
    recipe.write_text(TWO)  # of which no model is there
    for more in ((), ("--dry-run",)):
        ended = rockpress("run", recipe, "-o", tmp_path / "build", *more)
        assert ended.code == 1
        assert ended.err.count("keep has no effect") == 1
        assert "method has no effect" not in ended.err
