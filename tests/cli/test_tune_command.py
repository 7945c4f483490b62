"""``rockpress tune``: the commands and the section of its page, with a search that is over."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from commands import Run
from rockpress.convert.chips.targets import find_target
from rockpress.core.results.tune_report import TuneReport
from rockpress.pipeline import tune as search
from rockpress.pipeline.recipes.recipe import make_recipe
from rockpress.pipeline.recipes.recipe_file import read_jobs
from rockpress.pipeline.search.default_space import search_space
from rockpress.report.text.tune_text import value_text
from sample_tunes import FOUND, TUNES

PAGE = Path(__file__).parents[2] / "docs" / "tune.md"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[dict[str, Any]]:
    """What the search was asked for, in a folder with a model and samples; it is over at once."""
    calls: list[dict[str, Any]] = []

    def ended(recipe: Any, output: Path, **more: Any) -> TuneReport:
        calls.append({"recipe": recipe, "output": output, **more})
        return TUNES["tune-none"] if recipe.tune.pick == "retention=0.999" else FOUND

    monkeypatch.setattr(search, "tune", ended)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.onnx").write_bytes(b"")
    for folder in ("images", "labelled"):
        (tmp_path / folder).mkdir()
    return calls


def test_the_commands_of_the_page_ask_for_a_search(
    asked: list[dict[str, Any]], rockpress: Run
) -> None:
    commands = re.findall(r"^    rockpress (tune .*)$", PAGE.read_text(), re.MULTILINE)
    for command in commands:
        code, out, err = rockpress(*shlex.split(command))
        assert (code, err) == (0, "")
        assert out.startswith("PASS rk3588: ")
    first, second, copied = (call["recipe"].tune for call in asked)
    assert (first.trials, first.pick) == (24, None)
    assert (second.trials, second.pick) == (48, "retention=0.99")
    assert copied.optuna_storage == "sqlite:///study.db"
    assert {call["output"] for call in asked} == {Path("build/tune")}
    assert "<title>m.onnx: the search" in Path("build/tune.html").read_text()


def test_the_result_as_json_and_in_every_format(
    asked: list[dict[str, Any]], rockpress: Run, tmp_path: Path
) -> None:
    files = [tmp_path / f"tune.{suffix}" for suffix in ("json", "md", "html", "xml")]
    words = [word for file in files for word in ("--report", file)]
    given = ("--calib", "images", "--eval", "labelled", "--pick", "retention=0.999")
    code, out, _ = rockpress("tune", "model.onnx", *given, "--for", "size", "--json", *words)
    assert (code, asked[0]["goal"]) == (4, "size")  # no point has what was asked for
    assert files[0].read_text() == out
    assert json.loads(out)["chosen"] is None
    assert all(file.stat().st_size for file in files)


def test_a_report_takes_the_place_of_nothing_that_is_read(
    asked: list[dict[str, Any]], rockpress: Run
) -> None:
    Path("r.md").write_text("")
    code, _, err = rockpress("tune", "model.onnx", "--calib", "r.md", "--report", "r.md")
    assert code in (1, 2) and "would replace what is read" in err
    assert asked == []


def test_the_section_of_the_page_is_a_space(tmp_path: Path) -> None:
    (text,) = re.findall(r"```toml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (tmp_path / "rockpress.toml").write_text(text)
    (job,) = read_jobs(tmp_path / "rockpress.toml")
    space = search_space(job.recipe, find_target("rk3588"), "latency", job.space)
    knobs = {knob.name: knob.values for knob in space.knobs}
    assert set(knobs) == {"prune", "recover", "rounds", "method", "mixed"}
    assert knobs["prune"] == (None, "latency=-15%", "latency=-25%", "latency=-35%")


def test_the_table_of_the_page_has_the_options_and_the_start() -> None:
    section = PAGE.read_text().split("## What is searched")[1].split("```")[0]
    rows = dict(re.findall(r"^\| `([a-z]+)` \| (.*?)[,:] ", section, re.MULTILINE))
    recipe = make_recipe(Path("model.onnx"), target="rk3576")
    space = search_space(recipe, find_target("rk3576"), "latency", {})
    values = {knob.name: value_text(knob.name, knob.values[0]) for knob in space.knobs}
    first = {name: text.strip("`").removeprefix("the ") for name, text in rows.items()}
    assert first == values
