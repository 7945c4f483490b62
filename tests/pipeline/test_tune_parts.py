"""What a search of a recipe is made of: the space, the recipe of a point, its outcome, the pick."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from graphs import small_cnn
from rockpress.convert.chips.targets import find_target
from rockpress.core.diagnostics import mentioned
from rockpress.core.errors import ModelError, OptionError, ToolkitError
from rockpress.core.progress import Progress
from rockpress.core.results.model_figures import RetentionFigure
from rockpress.core.results.report import FIDELITY, GateFigure
from rockpress.pipeline.options.option_table import options_of, verbs_with
from rockpress.pipeline.options.tune_options import TuneOptions
from rockpress.pipeline.recipes.recipe import Recipe, make_recipe
from rockpress.pipeline.recipes.recipe_file import read_jobs
from rockpress.pipeline.search.default_space import search_space
from rockpress.pipeline.search.front import Pick
from rockpress.pipeline.search.pick_rule import read_pick
from rockpress.pipeline.search.points import CUT_SHORT, Failure, Measure, Outcome, Point, Trial
from rockpress.pipeline.search.predicted_cost import PredictedCost
from rockpress.pipeline.search.recipe_evaluator import ALL, FEW, RecipeEvaluator, few_pay
from rockpress.pipeline.search.space import Knob, Space
from rockpress.pipeline.search.trial_process import TrialJob, outcome_of
from rockpress.pipeline.search.trial_recipe import trial_recipe
from rockpress.pipeline.searchable import idle_limits, require_searchable
from rockpress.pipeline.tasks.idle_options import idle_options
from rockpress.pipeline.tune import Tuning, all_tried, limits_of, workers_of
from rockpress.pipeline.tune_point import tune_point
from sample_reports import GOOD, report

RK3588 = find_target("rk3588")


def values_of(recipe: Recipe, name: str, chip: str = "rk3588") -> tuple[object, ...]:
    space = search_space(recipe, find_target(chip), "latency", {})
    return next((knob.values for knob in space.knobs if knob.name == name), ())


class TestSpace:
    RECIPE = make_recipe("m.onnx")

    def test_the_first_point_is_the_recipe_as_it_stands(self) -> None:
        first = search_space(self.RECIPE, RK3588, "latency", {}).first[0]
        assert first == Point.of(
            {"prune": None, "scheme": "w8a8", "method": "auto", "mixed": "auto"}
        )

    def test_known_good_points_come_before_what_is_sampled(self) -> None:
        first = search_space(self.RECIPE, RK3588, "latency", {}).first
        assert any(point["scheme"] == "float16" for point in first)
        assert {point["prune"] for point in first} == {
            *(None, "latency=-10%", "latency=-20%", "latency=-30%")
        }
        assert len(set(first)) == len(first)

    def test_the_number_formats_are_the_chip_s(self) -> None:
        assert values_of(self.RECIPE, "scheme") == ("w8a8", "float16")
        assert "w4a16" in values_of(self.RECIPE, "scheme", "rk3576")
        assert values_of(self.RECIPE, "prune", "rv1106")[1] == "cycles=-10%"

    def test_what_the_recipe_sets_is_not_searched(self) -> None:
        fixed = self.RECIPE.with_options(scheme="w8a8", prune="macs=-20%")
        names = {knob.name for knob in search_space(fixed, RK3588, "latency", {}).knobs}
        assert names == {"rounds", "method", "mixed"}

    def test_what_is_listed_is_what_there_is_to_choose(self) -> None:
        given = {"scheme": ["w8a8"], "mixed": ["off", "latency=+3%"], "prune": ["off"]}
        space = search_space(self.RECIPE, RK3588, "latency", given)
        values = {knob.name: knob.values for knob in space.knobs}
        assert values["mixed"] == ("off", "latency=+3%")
        assert values["prune"] == (None,)
        assert all(point["scheme"] == "w8a8" for point in space.first)

    def test_an_option_without_effect_is_no_part_of_a_point(self) -> None:
        space = search_space(self.RECIPE, RK3588, "latency", {})
        point = space.canonical({"scheme": "float16", "mixed": "off"})
        assert {name for name, _ in point.settings} == {"prune", "scheme"}

    def test_each_budget_in_each_format_is_known_before_what_is_one_option_alone(self) -> None:
        budgets: list[Any] = ["off", "latency=-5%", "latency=-40%"]
        given = {"prune": budgets, "rounds": [1], "mixed": ["off"]}
        first = search_space(self.RECIPE, RK3588, "latency", given).first
        assert [(point["scheme"], point["prune"]) for point in first] == [
            *(("w8a8", budget) for budget in (None, "latency=-5%", "latency=-40%")),
            *(("float16", budget) for budget in (None, "latency=-5%", "latency=-40%")),
            ("w8a8", None),
        ]
        assert [point["method"] for point in first if point["method"] != "auto"] == [
            *(None, None, None),  # nothing is quantized
            "mse",
        ]

    def test_blocks_are_kept_where_something_is_pruned(self) -> None:
        space = search_space(self.RECIPE, RK3588, "latency", {"keep": [[], ["stage1*"]]})
        assert "keep" not in dict(space.canonical({}).settings)
        assert "keep" in dict(space.canonical({"prune": "latency=-10%"}).settings)

    def test_a_value_that_its_option_does_not_take_is_refused(self) -> None:
        with pytest.raises(OptionError):
            search_space(self.RECIPE, RK3588, "latency", {"method": ["bst"]})

    def test_nothing_to_choose_is_said(self) -> None:
        given = {"scheme": ["w8a8"], "mixed": ["off"], "prune": ["off"], "method": ["auto"]}
        with pytest.raises(OptionError, match="nothing to choose"):
            search_space(self.RECIPE, RK3588, "latency", {**given, "rounds": [1]})


class TestRecipeOfAPoint:
    def test_it_is_read_back_as_the_recipe_with_the_point(self, tmp_path: Path) -> None:
        recipe = make_recipe(
            tmp_path / "m.onnx",
            calib=tmp_path / "calib",
            eval=tmp_path / "eval.npz",
            mean=[1.0, 2.0, 3.0],
            input={"x": [1, 3, 8, 8]},
            min_retention=0.9,
        )
        point = Point.of({"prune": "latency=-10%", "mixed": "off", "rounds": None})
        (tmp_path / "p.toml").write_text(trial_recipe(recipe, point, {"eval_count": 7}))
        (job,) = read_jobs(tmp_path / "p.toml")
        expected = recipe.with_options(
            prune="latency=-10%", mixed="off", eval_count=7, min_retention=None
        )
        assert job.recipe == expected

    def test_a_point_can_switch_off_what_the_recipe_has(self, tmp_path: Path) -> None:
        recipe = make_recipe(tmp_path / "m.onnx", prune="macs=-10%")
        (tmp_path / "p.toml").write_text(trial_recipe(recipe, Point.of({"prune": None}), {}))
        (job,) = read_jobs(tmp_path / "p.toml")
        assert job.recipe.prune.prune is None

    def test_what_has_no_effect_beside_the_point_is_left_out(self, tmp_path: Path) -> None:
        recipe = make_recipe(tmp_path / "m.onnx", min_retention=0.9, confidence="lower")
        recipe = recipe.with_options(keep=["stage1*"], rounds=2, method="mse", mixed="auto")
        for settings, names in (
            ({"prune": None}, {"method", "mixed"}),
            ({"prune": "latency=-10%", "scheme": "float16"}, {"keep", "rounds", "mixed"}),
        ):
            (tmp_path / "p.toml").write_text(trial_recipe(recipe, Point.of(settings), {}))
            (job,) = read_jobs(tmp_path / "p.toml")
            ours = ("keep", "rounds", "method", "mixed", "confidence")
            assert {name for name in ours if job.recipe.is_explicit(name)} == names
            assert not list(idle_options(job.recipe, job.recipe, "run"))

    def test_counts_end_what_a_clock_would(self, tmp_path: Path) -> None:
        recipe, point = make_recipe(tmp_path / "m.onnx"), Point.of({"mixed": "auto"})
        assert self.limits(recipe, point) == (None, 16, 600, 2000)
        assert self.limits(recipe, Point.of({"mixed": "off"})) == (300, None, 600, 2000)
        trained = Point.of({"prune": "macs=-10%", "recover": "distill", "scheme": "float16"})
        assert self.limits(recipe, trained) == (300, None, None, 500)

    def test_counts_end_the_training_of_a_quantized_model(self, tmp_path: Path) -> None:
        recipe = make_recipe(tmp_path / "m.onnx", train="distill")
        for scheme, limit in (("w8a8", (None, 500)), ("float16", (600, 2000))):
            (tmp_path / "p.toml").write_text(trial_recipe(recipe, Point.of({"scheme": scheme}), {}))
            (job,) = read_jobs(tmp_path / "p.toml")
            assert (job.recipe.quantize.train_time, job.recipe.quantize.train_steps) == limit

    def test_a_limit_that_was_given_is_the_limit(self, tmp_path: Path) -> None:
        timed = make_recipe(tmp_path / "m.onnx", search_time=60, recover_steps=50)
        point = Point.of({"prune": "macs=-10%", "recover": "distill"})
        assert self.limits(timed, point) == (60, None, 600, 50)

    def limits(self, recipe: Recipe, point: Point) -> tuple[object, ...]:
        file = Path(recipe.model).with_name("p.toml")
        file.write_text(trial_recipe(recipe, point, {}))
        (job,) = read_jobs(file)
        quantize, distil = job.recipe.quantize, job.recipe.distil
        times = quantize.search_time, quantize.search_choices
        return (*times, distil.recover_time, distil.recover_steps)


class TestSection:
    def write(self, folder: Path, section: str) -> Path:
        file = folder / "r.toml"
        file.write_text(f'model = "m.onnx"\n[tune]\n{section}\n')
        return file

    def test_a_recipe_lists_what_to_choose_from(self, tmp_path: Path) -> None:
        section = 'prune = ["off", "latency=-5%"]\nscheme = ["w8a8"]'
        (job,) = read_jobs(self.write(tmp_path, section))
        assert job.space == {"prune": ("off", "latency=-5%"), "scheme": ("w8a8",)}
        assert job.recipe == Recipe(tmp_path / "m.onnx")

    @pytest.mark.parametrize(
        ("section", "text", "hint"),
        [
            ('prunee = ["off"]', "tune.prunee: is no option of a run", "did you mean prune?"),
            ('prune = "off"', "'off' is not a list of values", 'write prune = ["off"]'),
            ("size = {a = 1}", "{'a': 1} is not a list of values", "docs/recipe.md"),
            ("prune = []", "tune.prune: the list of values is empty", "docs/recipe.md"),
        ],
    )
    def test_a_slip_is_told_with_what_was_meant(
        self, tmp_path: Path, section: str, text: str, hint: str
    ) -> None:
        with pytest.raises(OptionError) as caught:
            read_jobs(self.write(tmp_path, section))
        assert str(caught.value).endswith(text) and caught.value.hint.startswith(hint)

    @pytest.mark.parametrize(
        "section",
        ['prun = ["off"]', 'scheme = "w8a8"', "scheme = []", 'scheme = ["w9a9"]', "rounds = [0]"],
    )
    def test_what_it_cannot_list_is_refused(self, section: str, tmp_path: Path) -> None:
        with pytest.raises(OptionError, match=r"tune\."):
            read_jobs(self.write(tmp_path, section))

    def test_a_section_that_is_no_table_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "r.toml").write_text('model = "m.onnx"\ntune = 3\n')
        with pytest.raises(OptionError, match="tune: 3 is not a table"):
            read_jobs(tmp_path / "r.toml")

    def test_a_missing_recipe_is_said(self, tmp_path: Path) -> None:
        with pytest.raises(ModelError, match="cannot read"):
            read_jobs(tmp_path / "none.toml")


class TestOutcome:
    REPORT = report(GOOD)

    def of(self, **changes: object) -> Measure | Failure:
        (target,) = self.REPORT.targets[:1]
        target = replace(target, error=None, gates=(), **changes)  # type: ignore[arg-type]
        return outcome_of(replace(self.REPORT, targets=(target,)), "latency")

    def test_cost_and_retention_are_those_of_the_result(self) -> None:
        target = self.REPORT.targets[0]
        outcome = self.of()
        assert isinstance(outcome, Measure)
        assert outcome.cost == target.models[-1].latency[0].ms
        assert outcome.retention == target.retention.value
        assert outcome.low == target.retention.low

    def test_without_labels_agreement_is_what_is_retained(self) -> None:
        figure = RetentionFigure(None, None, None, None, 50, 0.9, 20.0)
        outcome = self.of(retention=figure)
        assert isinstance(outcome, Measure)
        assert outcome.retention == 0.9
        assert outcome.low < 0.9 < outcome.high

    def test_nothing_measured_is_a_failure(self) -> None:
        figure = RetentionFigure(None, None, None, None, 50, None, 20.0)
        assert isinstance(self.of(retention=figure), Failure)

    def test_more_noise_than_signal_is_a_failure(self) -> None:
        (target,) = self.REPORT.targets[:1]
        gate = GateFigure(FIDELITY, 3.0, 1.5, False)
        target = replace(target, error=None, gates=(gate,))
        outcome = outcome_of(replace(self.REPORT, targets=(target,)), "latency")
        assert isinstance(outcome, Failure)
        assert "fidelity" in outcome.reason

    def test_a_target_that_failed_is_a_failure_with_its_reason(self) -> None:
        (target,) = self.REPORT.targets[:1]
        target = replace(target, error=ToolkitError("it did not build"))
        outcome = outcome_of(replace(self.REPORT, targets=(target,)), "latency")
        assert outcome == Failure("it did not build")


class TestPick:
    @pytest.mark.parametrize(
        ("text", "goal", "pick"),
        [
            ("latency=5ms", "latency", Pick(cost=5)),
            ("LATENCY = 2.5", "latency", Pick(cost=2.5)),
            ("size=4MB", "size", Pick(cost=4e6)),
            ("retention=0.99", "size", Pick(retention=0.99)),
            ("retention=99%", "latency", Pick(retention=0.99)),
            (None, "latency", Pick(retention=0.98)),
        ],
    )
    def test_a_rule_says_which(self, text: str | None, goal: str, pick: Pick) -> None:
        assert read_pick(text, goal, None) == pick

    def test_the_gate_is_the_rule_where_none_is_given(self) -> None:
        assert read_pick(None, "latency", 0.9) == Pick(retention=0.9)

    @pytest.mark.parametrize(
        "text", ["latency", "latency=5s", "size=4ms", "size=4", "retention=98", "fps=3", ""]
    )
    def test_no_rule_is_refused(self, text: str) -> None:
        with pytest.raises(OptionError):
            read_pick(text, "latency", None)

    @pytest.mark.parametrize(
        ("text", "goal"),
        [("latency=0ms", "latency"), ("latency=0.0", "latency"), ("size=0MB", "size")],
    )
    def test_a_limit_that_no_model_is_within_is_refused(self, text: str, goal: str) -> None:
        with pytest.raises(OptionError, match=f"no model has a {goal} of 0"):
            read_pick(text, goal, None)

    def test_a_share_is_between_0_and_1(self) -> None:
        with pytest.raises(OptionError, match="is not between 0 and 1"):
            read_pick("retention=2", "latency", None)


class TestLimits:
    TIMED = make_recipe("m.onnx", time="30m").tune

    def test_without_a_limit_there_is_one(self) -> None:
        assert limits_of(TuneOptions(), None).trials == 32
        assert limits_of(self.TIMED, None).trials is None
        assert limits_of(self.TIMED, None).seconds == 1800

    def test_workers_are_what_cores_and_memory_allow(self) -> None:
        assert workers_of(TuneOptions(), 8, 64e9) == 4  # no more than are asked for together
        assert workers_of(TuneOptions(), 2, 64e9) == 2
        assert workers_of(TuneOptions(), 8, 4e9) == 1
        assert workers_of(TuneOptions(), 8, 1e9) == 1
        assert workers_of(TuneOptions(workers=3), 1, 1e9) == 3

    @pytest.mark.parametrize("time", ["0", "-1", "soon", "nan", "1e99", ""])
    def test_a_time_that_is_none_is_refused(self, time: str) -> None:
        with pytest.raises(OptionError):
            make_recipe("m.onnx", time=time)


@pytest.mark.parametrize(
    ("count", "set_aside", "is_over"),
    [(2, "", True), (1, "", False), (2, "it is surely beaten", True), (2, CUT_SHORT, False)],
)
def test_a_search_has_nothing_left_where_each_point_of_the_space_was_tried(
    count: int, set_aside: str, *, is_over: bool
) -> None:
    space = Space((Knob("scheme", ("w8a8", "float16")),))
    points = [Point.of({"scheme": scheme}) for scheme in ("w8a8", "float16")][:count]
    trials = [Trial(number, point, (), set_aside) for number, point in enumerate(points)]
    assert all_tried(space, trials) is is_over


class NotedTrials:
    """Runs no trial, and notes the recipes of those that it was to run."""

    def __init__(self) -> None:
        self.recipes: list[str] = []

    def run(self, job: TrialJob, *, with_files: bool) -> Failure:
        self.recipes.append(job.recipe)
        return Failure("it is enough")

    def close(self) -> None:
        pass


def test_a_trial_simulates_with_as_many_processes_as_it_has_threads(tmp_path: Path) -> None:
    recipe = make_recipe(tmp_path / "m.onnx", jobs=8)
    predicted, noted = PredictedCost(small_cnn(), RK3588, "latency"), NotedTrials()
    evaluator = RecipeEvaluator(recipe, predicted, "latency", tmp_path, 1, 3, noted)
    evaluator.submit(Point.of({}), FEW).result()
    evaluator.close()
    assert "jobs = 3" in noted.recipes[0].splitlines()


def test_few_samples_are_left_out_where_all_are_not_many(tmp_path: Path) -> None:
    recipe, point = make_recipe(tmp_path / "m.onnx"), Point.of({})
    predicted, noted = PredictedCost(small_cnn(), RK3588, "latency"), NotedTrials()
    about = (recipe, predicted, "latency", tmp_path, 1, 1, noted)
    evaluator = RecipeEvaluator(*about, has_few=False)
    assert evaluator.submit(point, FEW).result() == Measure(predicted(point, "w8a8"))
    assert noted.recipes == []
    evaluator.submit(point, ALL).result()
    assert len(noted.recipes) == 1
    evaluator.close()
    counts = [few_pay(range(count)) for count in (999, 1000)]  # type: ignore[arg-type]
    assert counts == [False, True]


@pytest.mark.parametrize(
    ("outcomes", "stage"),
    [
        ((), "predicted"),
        ((Measure(1.0), Measure(1.0)), "predicted"),
        ((Measure(1.0), Measure(1.0), Failure("no memory")), "predicted"),
        ((Measure(1.0), Measure(1.0, 0.9)), "few samples"),
        ((Measure(1.0), Measure(1.0, 0.9), Failure("no memory")), "few samples"),
        ((Measure(1.0), Measure(1.0), Measure(1.0, 0.9)), "all samples"),
    ],
)
def test_a_point_is_as_far_as_it_was_measured(outcomes: tuple[Outcome, ...], stage: str) -> None:
    assert tune_point(Trial(0, Point.of({}), outcomes), None, is_on_front=False).stage == stage


class NotedSteps(Progress):
    """Keeps how far it was told that a search is."""

    def __init__(self) -> None:
        self.steps: list[tuple[int, int | None]] = []

    def step(self, activity: str, done: int, total: int | None = None) -> None:
        self.steps.append((done, total))


@pytest.mark.parametrize(
    ("options", "total"), [({}, 32), ({"trials": 8}, 8), ({"time": "5m"}, None)]
)
def test_how_many_points_there_will_be_is_told_where_it_is_known(
    options: dict[str, Any], total: int | None, tmp_path: Path
) -> None:
    recipe, steps = make_recipe(tmp_path / "m.onnx", **options), NotedSteps()
    predicted = PredictedCost(small_cnn(), RK3588, "latency")
    evaluator = RecipeEvaluator(recipe, predicted, "latency", tmp_path / "points", 1, 1)
    tuning = Tuning(recipe, RK3588, "latency", Pick(retention=0.98), tmp_path, "2.5.0", 0.0)
    trials = (
        Trial(0, Point.of({}), (Measure(1.0), Measure(1.0), Measure(1.0, 1.0))),
        Trial(1, Point.of({"prune": "latency=-10%"}), (Measure(1.0),)),
    )
    tuning.keep(trials, evaluator, steps)
    evaluator.close()
    assert steps.steps == [(1, total)]


def test_the_predicted_cost_follows_formats_and_budgets() -> None:
    model = small_cnn()
    cost = PredictedCost(model, RK3588, "latency")
    int8, float16 = cost(Point.of({}), "w8a8"), cost(Point.of({}), "float16")
    assert 0 < int8 != float16 > 0
    assert cost(Point.of({"prune": "latency=-20%"}), "w8a8") == pytest.approx(0.8 * int8)
    assert cost(Point.of({"mixed": "latency=+10%"}), "w8a8") == pytest.approx(1.1 * int8)
    assert cost(Point.of({"prune": "size=-20%", "mixed": "auto"}), "w8a8") == int8
    size = PredictedCost(model, RK3588, "size")
    assert size(Point.of({}), "float16") == 2 * size(Point.of({}), "w8a8")


class TestSearchable:
    RECIPE = make_recipe("m.onnx")

    @pytest.mark.parametrize(
        ("values", "text"),
        [
            ({"target": ["rk3588", "rk3576"]}, "[tune] target: all points have the same"),
            ({"min_retention": [0.9, 0.98]}, "[tune] min-retention: all points have the same"),
            ({"eval_count": [10, 20]}, "[tune] eval-count: all points have the same"),
        ],
    )
    def test_what_cannot_be_searched_is_refused(
        self, values: dict[str, list[Any]], text: str
    ) -> None:
        with pytest.raises(OptionError) as caught:
            require_searchable(self.RECIPE, values)
        assert str(caught.value).startswith(text)

    def test_what_is_set_is_not_listed_too(self) -> None:
        recipe = self.RECIPE.with_options(prune="latency=-10%")
        with pytest.raises(OptionError, match="set outside"):
            require_searchable(recipe, {"prune": ["off", "latency=-20%"]})

    def test_options_that_the_recipe_leaves_without_effect_are_no_knobs(self) -> None:
        recipe = self.RECIPE.with_options(prune="off", scheme="w8a8")
        names = {knob.name for knob in search_space(recipe, RK3588, "latency", {}).knobs}
        assert names == {"method", "mixed"}
        pruned = self.RECIPE.with_options(prune="latency=-10%", scheme="w8a8")
        assert "rounds" in {k.name for k in search_space(pruned, RK3588, "latency", {}).knobs}

    def test_limits_that_a_search_does_not_hold_are_told(self) -> None:
        recipe = self.RECIPE.with_options(max_latency_ms=3.0, max_size_mb=2.0)
        (warning,) = idle_limits(recipe, {})
        assert "have no effect on a search" in warning.text and "pick" in (warning.hint or "")
        assert not list(idle_limits(self.RECIPE, {}))

    @pytest.mark.parametrize("name", ["train", "recover"])
    def test_the_length_of_a_training_that_no_point_has_is_told(self, name: str) -> None:
        steps = {f"{name}_steps": [10, 20]}
        (warning,) = idle_limits(self.RECIPE, steps)
        assert f"[tune] {name}-steps has no effect" in warning.text
        assert f"under {name} too" in warning.hint
        assert not list(idle_limits(self.RECIPE, {**steps, name: ["distill"]}))
        assert not list(idle_limits(self.RECIPE.with_options(**{name: "distill"}), steps))

    def test_which_part_of_the_samples_is_seen_is_no_option_of_a_search(self) -> None:
        assert "eval_part" not in {described.name for described in options_of("tune")}
        assert "tune" not in verbs_with("eval-part") and "run" in verbs_with("eval-part")
        (warning,) = idle_limits(self.RECIPE.with_options(eval_part="search"), {})
        assert mentioned(warning.text) == [("eval-part", None)]
