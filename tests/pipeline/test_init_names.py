"""init writes what run reads, whatever a file is called, and names what it runs in CI exactly."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from commands import Run
from rockpress.pipeline.ci_files import ci_text
from rockpress.pipeline.install_source import install_source
from rockpress.pipeline.recipes.recipe_file import read_jobs
from rockpress.pipeline.recipes.toml_text import toml_text

ACTION = re.compile(r"uses: (\S+)(.*)")
PINNED = re.compile(r"(actions|pypa)/[a-z-]+@[0-9a-f]{40}")


@pytest.mark.parametrize("stem", ["😀", "a\x7fb", 'a"b\\c', "é\u2028", "#[x]"])
def test_a_recipe_names_any_model(
    stem: str, small_cnn: Path, tmp_path: Path, rockpress: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    model = small_cnn.rename(tmp_path / f"{stem}.onnx")
    code, _, err = rockpress("init", model.name, "-q")
    assert code == 0, err
    (job,) = read_jobs(Path("rockpress.toml"))
    assert job.recipe.model.name == model.name
    assert rockpress("run", "rockpress.toml", "--scheme", "float16", "--dry-run")[0] != 3


def test_a_name_that_no_recipe_can_hold(
    small_cnn: Path, tmp_path: Path, rockpress: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "place"
    place.mkdir()
    monkeypatch.chdir(place)
    small_cnn.rename(os.fsdecode(b"c\xffd.onnx"))
    code, out, err = rockpress("init", os.fsdecode(b"c\xffd.onnx"), "-q")
    assert (code, out) == (1, "")
    assert "is not UTF-8" in err and err.splitlines()[-1] == "hint: rename that file"
    assert [os.fsencode(path.name) for path in place.iterdir()] == [b"c\xffd.onnx"]


def test_a_key_is_a_text_too() -> None:
    assert toml_text("😀") == '"😀"'


def test_actions_are_named_by_commit(root: Path) -> None:
    """A tag can be moved to other code."""
    places = [ci_text("github", install_source()), (root / "docs" / "ci.md").read_text()]
    own = root / ".github" / "workflows"
    places += [path.read_text() for path in own.glob("*.yml")]
    for text in places:
        actions = ACTION.findall(text)
        assert actions
        for action, comment in actions:
            assert PINNED.fullmatch(action), action
            assert re.fullmatch(r"  # v\d+\.\d+\.\d+", comment), comment
