"""A search for trade-offs as a screen, a page, Markdown and JUnit; by reports made by hand.

The screens are text files in ``screens/``; ROCKPRESS_WRITE_SCREENS=1 writes them anew.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from xml.etree.ElementTree import fromstring

import pytest

from printed_screens import CODE, LOG, printed, require_as_before
from rockpress.cli.phrases import command_phrase
from rockpress.core.diagnostics import mentioned, render, speaking
from rockpress.core.results.tune_report import RetentionRange, TuneReport
from rockpress.pipeline.search.pick_rule import read_pick
from rockpress.report.text.tune_steps import tune_files, tune_steps
from rockpress.report.text.tune_tables import front_table, reference_table
from rockpress.report.text.tune_text import (
    role_of,
    search_line,
    settings_text,
    table_notes,
    tune_verdict,
)
from rockpress.report.tuning.setting_effects import effect_rows, setting_effects
from rockpress.report.tuning.tune_files import rendered_tune
from sample_tunes import FOUND, NEXT_REPORT, POINTS, TUNES, point

SCREENS = Path(__file__).with_name("screens")
PROGRAM = Path(__file__).parents[1] / "support" / "sample_tunes.py"
WIDTHS = (60, 80, 120, 200)
SCHEMA = Path(__file__).parents[2] / "docs" / "rockpress-tune.schema.json"


def screens(width: int) -> dict[str, str]:
    return dict(zip(TUNES, printed(PROGRAM, width).split(NEXT_REPORT), strict=False))


@pytest.mark.parametrize("name", TUNES)
def test_the_screen_is_what_it_was(name: str) -> None:
    require_as_before(
        SCREENS / f"{name}.txt", {width: screens(width)[name] for width in (*WIDTHS, LOG)}
    )


@pytest.mark.parametrize("name", TUNES)
@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_wider_than_the_terminal(name: str, width: int) -> None:
    lines = CODE.sub("", screens(width)[name]).splitlines()
    assert max(map(len, lines)) <= width
    assert lines[0].startswith(("PASS", "FAIL"))


@pytest.mark.parametrize("name", TUNES)
def test_every_format_has_the_verdict(name: str) -> None:
    verdict = str(tune_verdict(TUNES[name]))
    for suffix in (".md", ".html", ".xml"):
        text = re.sub(r"\\|<!-- -->", "", rendered_tune(TUNES[name], suffix))
        assert verdict in text


# What was picked


def test_what_was_picked_is_said_with_what_unseen_samples_keep() -> None:
    line = tune_verdict(FOUND)
    assert (line.word, line.subject) == ("PASS", "rk3588")
    assert line.text.startswith("99.5% of top1 kept (98.5 to 100.5%) on unseen samples, 99.9%")
    doubtful = tune_verdict(TUNES["tune-doubt"])
    assert doubtful.word == "PASS (with doubts)"
    assert doubtful.text.endswith("unseen samples keep less than 95%")
    few = tune_verdict(replace(FOUND, pick="retention=0.986"))
    assert few.word == "PASS (with doubts)"
    assert few.text.endswith("unseen samples are too few to tell 98.6%")


def test_a_limit_inside_the_band_of_the_estimate_is_doubted() -> None:
    within = [
        tune_verdict(replace(FOUND, pick=f"latency={limit}ms")) for limit in (0.25, 0.28, 0.29)
    ]
    assert [line.with_doubts for line in within] == [True, True, False]
    assert within[0].text.endswith("the estimate goes up to 0.29 ms")


def test_what_nearly_has_the_pick_is_told_apart_from_it() -> None:
    near = replace(POINTS[4], retention=RetentionRange(0.99, 0.97996, 1.0))
    report = replace(FOUND, points=(*POINTS[:4], near, *POINTS[5:]), chosen=None)
    assert "the most is 97.996%, of point 4" in tune_verdict(report).text


@pytest.mark.parametrize(
    ("pick", "goal", "rules"),
    [
        ("retention=0.999", "latency", ["retention=0.988", "retention=0.899"]),
        ("latency=0.1ms", "latency", ["latency=0.27ms", "latency=0.17ms"]),
        ("size=0.1MB", "size", ["size=0.44MB", "size=0.28MB"]),
    ],
)
def test_where_none_fits_the_ends_of_the_front_say_what_would(
    pick: str, goal: str, rules: list[str]
) -> None:
    report = TUNES["tune-size"] if goal == "size" else FOUND
    texts = list(tune_steps(replace(report, chosen=None, pick=pick)))
    advised = [value for text in texts for name, value in mentioned(text) if name == "pick"]
    assert advised == rules
    for rule, end in zip(rules, (report.front[-1], report.front[0]), strict=True):
        wanted = read_pick(rule, goal, None)
        (fitting,) = (each for each in report.points if each.number == end)
        assert fitting.cost is not None and fitting.retention is not None
        assert fitting.cost <= (wanted.cost or fitting.cost)
        assert fitting.retention.low >= (wanted.retention or 0)


def test_the_files_and_the_way_on() -> None:
    assert tune_files(FOUND, Path("t"), "chosen.toml") == [
        *(Path("t/chosen.toml"), Path("t/points/0000000000000005"))
    ]
    assert tune_files(TUNES["tune-none"], Path("t"), "chosen.toml") == []
    with speaking(command_phrase):
        (step,) = map(render, tune_steps(FOUND))
    assert step.endswith("measures nothing twice: --trials 16")
    ended = [name for text in tune_steps(TUNES["tune-size"]) for name, _ in mentioned(text)]
    assert ended == ["eval"]  # all points were tried, on samples without labels


def test_points_that_lack_a_package_are_tried_again_by_the_same_command() -> None:
    lacking = replace(POINTS[0], failure="rounds needs PyTorch, which is not installed here")
    ended = replace(FOUND, points=(lacking, *POINTS[1:]), ended_by="space")
    (step,) = tune_steps(ended)
    assert "the same command tries these again" in step
    assert not list(tune_steps(replace(FOUND, ended_by="space")))


def test_a_cheaper_point_that_misses_by_its_lower_end_alone_is_offered() -> None:
    (cheapest,) = (each for each in POINTS if each.number == FOUND.front[0])
    unsure = replace(cheapest, retention=RetentionRange(0.99, 0.977, 1.0))
    points = tuple(unsure if each is cheapest else each for each in POINTS)
    step, *_ = tune_steps(replace(FOUND, points=points))
    assert step.startswith("a faster point keeps 99.0%, but not surely: point ")
    assert mentioned(step) == [("pick", "retention=0.977")]


def test_the_points_that_others_are_held_against_have_names() -> None:
    assert [role_of(each) for each in POINTS[:5]] == ["start", "", "", "", "float16"]
    assert role_of(point(6, 0.2, 0.9, scheme="float16", prune="latency=-20%")) == ""


def test_columns_without_a_figure_are_left_out() -> None:
    bare = tuple(replace(each, unseen=None, figures={}) for each in POINTS)
    headings = front_table(replace(FOUND, points=bare)).headings
    assert headings == ("point", "vs\nstart", "retention", "at\nleast")


def test_a_size_and_names_are_shown_as_they_are_written() -> None:
    sized = point(8, 0.2, 0.9, size="[168, 224]", keep='["stem", "fir*"]', method="auto")
    assert settings_text(sized) == "scheme w8a8, size 168x224, keep stem,fir*"


# What the points are held against


def test_what_the_points_are_held_against_has_a_table_of_its_own() -> None:
    rows = {row[0]: row[1:] for row in reference_table(FOUND).rows}
    assert list(rows) == ["float model", "float16, not pruned", "int8 by the toolkit's quantizer"]
    assert rows["float model"][:4] == ("-", "811.5 kB", "-", "100.0%")
    assert not rows.keys() & {row[0] for row in front_table(FOUND).rows}
    note = "float model: top1 0.9120, 0.9071 on unseen samples; 100% is that"
    assert table_notes(FOUND)[-1] == note
    assert all("float model" not in text for text in table_notes(TUNES["tune-size"]))


def test_a_reference_that_failed_has_its_reason_in_every_format() -> None:
    report = TUNES["tune-size"]
    assert [row[0] for row in reference_table(report).rows] == [
        *("float model", "int8 by the toolkit's quantizer")
    ]
    for suffix in (".md", ".html", ".xml", ".json"):
        assert "the build ran out of memory" in rendered_tune(report, suffix)


def test_a_reference_is_drawn_where_it_is_no_point_that_is_drawn() -> None:
    page = rendered_tune(FOUND, ".html")
    assert page.count('<circle class="point reference"') == 1
    assert ">toolkit</text>" in page and ">float16</text>" not in page
    assert "to compare with" in page
    assert "to compare with" not in rendered_tune(replace(FOUND, references=()), ".html")


# What each option came to


def test_each_value_of_an_option_has_what_its_points_came_to() -> None:
    effects = {(each.name, each.value): each for each in setting_effects(FOUND)}
    assert {name for name, _ in effects} == {"method", "mixed", "prune", "scheme"}
    cut = effects["prune", "latency=-30%"]
    assert (cut.points, cut.on_front, cut.costs) == (2, 1, (0.17,))  # the other failed
    assert effects["prune", None].on_front == 2
    assert effects["mixed", "latency=+20%"].costs == ()  # predicted alone
    seen = ("prune", "off", "4", "3", "0.23 ms", "0.24 ms", "98.8%", "98.7%", "2")
    assert (*seen, "-", "-", "-") in effect_rows(FOUND)  # what the others are held against


def only_of(pairs: tuple[tuple[float, float], ...]) -> tuple[float, float]:
    (pair,) = pairs
    return pair


def test_what_a_value_does_alone_is_of_pairs_that_differ_in_it_alone() -> None:
    alone = {(each.name, each.value): each.alone for each in setting_effects(FOUND)}
    assert only_of(alone["prune", "latency=-20%"]) == pytest.approx((0.19 / 0.24, -0.032))
    assert alone["prune", None] == ()
    assert only_of(alone["scheme", "float16"]) == pytest.approx((0.27 / 0.24, 0.002))
    assert alone["mixed", "latency=+20%"] == ()  # predicted alone
    row = next(row for row in effect_rows(FOUND) if row[:2] == ("method", "mse"))
    assert row[-3:] == ("1", "-4%", "+0.1")


def test_an_option_without_effect_in_a_point_is_taken_as_its_first_value() -> None:
    half = replace(
        POINTS[4], settings={"scheme": "float16", "prune": None}, number=8
    )  # neither method nor mixed
    other = replace(point(9, 0.24, 0.9, mixed="off"), number=9)
    report = replace(FOUND, points=(*POINTS[:1], half, other))
    (effect,) = [each for each in setting_effects(report) if each.value == "float16"]
    assert only_of(effect.alone) == pytest.approx(
        (0.27 / 0.24, 0.002)
    )  # beside point 0, not point 9


def test_other_rounds_of_a_pruned_point_are_no_pair_of_one_that_is_not() -> None:
    pruned = point(8, 0.17, 0.92, prune="latency=-30%", rounds=2)
    unrounded = point(9, 0.17, 0.91, prune="latency=-30%", rounds=None)
    report = replace(FOUND, points=(POINTS[0], unrounded, pruned))
    effects = {(each.name, each.value): each.alone for each in setting_effects(report)}
    assert only_of(effects["rounds", 2]) == pytest.approx((1.0, 0.01))
    assert only_of(effects["prune", "latency=-30%"]) == pytest.approx((0.17 / 0.24, -0.088))


def test_few_samples_are_not_put_beside_all() -> None:
    few = replace(point(8, 0.01, 1.0, method="gptq"), stage="few samples")
    (effect,) = [
        each
        for each in setting_effects(replace(FOUND, points=(*POINTS, few)))
        if each.value == "gptq"
    ]
    assert (effect.points, effect.costs) == (1, ())


def test_what_ended_the_search_is_said() -> None:
    line = search_line(FOUND)
    assert line.startswith("8 points, 4 on the front, 1 set aside, 1 failed, 12 min 37 s, ")
    assert line.endswith("ended by the number of points")
    assert search_line(TUNES["tune-empty"]).endswith("not at its end")


# The files


def test_junit_has_a_case_for_the_pick_for_the_front_and_for_what_failed() -> None:
    suite = fromstring(rendered_tune(TUNES["tune-none"], ".xml"))[0]
    assert [suite.get(name) for name in ("tests", "failures", "errors")] == ["6", "1", "1"]
    cases = suite.findall("testcase")
    assert len({case.get("name") for case in cases}) == 6
    assert [len(case.findall("failure")) for case in cases] == [1, 0, 0, 0, 0, 0]
    error = cases[-1].find("error")
    assert error is not None and "signal 11" in (error.text or "")
    assert fromstring(rendered_tune(FOUND, ".xml"))[0].get("failures") == "0"


def test_markdown_has_the_front_the_options_and_the_failures() -> None:
    text = rendered_tune(FOUND, ".md")
    assert text.startswith("# rockpress tune: ✅ PASS\n\nPASS rk3588: ")
    titles = re.findall("^## (.*)$", text, re.MULTILINE)
    assert titles == ["The front", "Beside it", "What each option came to", "Failed"]
    assert "| 5\\* scheme w8a8, method mse |" in text
    assert rendered_tune(TUNES["tune-none"], ".md").startswith("# rockpress tune: ❌ FAIL")


def test_the_page_draws_the_front_and_what_it_keeps_unseen() -> None:
    page = rendered_tune(FOUND, ".html")
    drawn = re.findall(r'<circle class="([\w ]+)"', page)
    assert [drawn.count(kind) for kind in ("point", "point other", "point hollow")] == [4, 2, 4]
    assert page.count(' r="9"') == 1  # the chosen one
    for label in ("0 start", "4 float16", "5*"):
        assert f">{label}</text>" in page
    assert 'class="limit"' in page and "<script" not in page
    assert "point hollow" not in rendered_tune(TUNES["tune-size"], ".html").split("</style>")[1]


def test_names_of_others_are_no_markup() -> None:
    evil = "</p><script>alert(1)</script> | `a`"
    failed = replace(POINTS[7], failure=evil)
    report = replace(FOUND, model=f"{evil}.onnx", points=(*POINTS[:7], failed))
    assert "<script" not in rendered_tune(report, ".html")
    assert "<script" not in rendered_tune(report, ".md").replace("\\<script", "")
    fromstring(rendered_tune(report, ".xml"))


@pytest.mark.parametrize("name", TUNES)
def test_the_document_is_as_its_schema_says(name: str) -> None:
    document = json.loads(rendered_tune(TUNES[name], ".json"))
    schema = json.loads(SCHEMA.read_text())
    assert set(document) == set(schema["properties"]) == set(schema["required"])
    kinds = {"TunePoint": document["points"], "ToolVersion": [document["tool"]]}
    for kind, values in kinds.items():
        assert all(set(each) == set(schema["$defs"][kind]["properties"]) for each in values)


def test_a_search_with_nothing_measured_has_a_page() -> None:
    page = rendered_tune(TUNES["tune-empty"], ".html")
    assert "✗ FAIL" in page and "<svg" not in page
    nothing: TuneReport = replace(TUNES["tune-empty"], points=())
    assert "0 points" in rendered_tune(nothing, ".html")
