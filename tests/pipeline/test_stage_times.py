"""The times of earlier runs: kept beside the cache, told to the next run, and robust."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from rockpress.core.progress import ExpectedStage, Progress
from rockpress.pipeline.caching.cache_folder import CacheFolder
from rockpress.pipeline.caching.stage_cache import Cache
from rockpress.pipeline.caching.stage_times import RunTimes, StageTimes
from rockpress.pipeline.recipes.recipe import make_recipe
from rockpress.pipeline.run import run


def test_the_last_run_of_the_same_work_counts(tmp_path: Path) -> None:
    times = StageTimes(tmp_path / "cache")
    assert times.runs() == [] and times.of_work("a") == {}
    times.add(RunTimes("a", {"quantize": 10.0, "prune": 4.0}))
    times.add(RunTimes("b", {"quantize": 50.0}))
    times.add(RunTimes("a", {"quantize": 12.0}))
    assert times.of_work("a") == {"quantize": 12.0, "prune": 4.0}
    for _ in range(100):
        times.add(RunTimes("c", {"check": 1.0}))
    assert len(times.runs()) == 64 and times.of_work("a") == {}
    times.clear()
    assert times.runs() == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"runs": 3}',
        '{"runs": [3, null]}',
        '{"runs": [{"work": 1, "seconds": {}}]}',
        '{"runs": [{"work": "a", "seconds": {"quantize": "long"}}]}',
        '{"runs": [{"work": "a", "seconds": {"quantize": NaN}}]}',
        '{"runs": [{"work": "a", "seconds": {"quantize": -1}}]}',
        '{"runs": [{"work": "a", "seconds": {"quantize": 1e300}}]}',
        "[" * 100_000,
        "\x00\xff" * 99,
        "x" * (2 << 20),
    ],
    ids=lambda text: text[:40],
)
def test_a_damaged_file_tells_nothing_and_is_replaced(text: str, tmp_path: Path) -> None:
    times = StageTimes(tmp_path)
    CacheFolder(tmp_path).make()
    (tmp_path / "stage-times.json").write_text(text)
    assert times.of_work("a") == {}
    times.add(RunTimes("a", {"quantize": 2.0}))
    assert times.of_work("a") == {"quantize": 2.0}


def test_nothing_is_written_into_a_folder_of_somebody_else(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    StageTimes(tmp_path).add(RunTimes("a", {"quantize": 2.0}))
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    folder, other = tmp_path / "cache", tmp_path / "other.json"
    CacheFolder(folder).make()
    other.write_text("mine")
    (folder / "stage-times.json").symlink_to(other)
    StageTimes(folder).add(RunTimes("a", {"quantize": 2.0}))
    assert other.read_text() == "mine"


class Told(Progress):
    """Keeps what is planned and which stages begin."""

    def __init__(self) -> None:
        self.planned: list[ExpectedStage] = []
        self.begun: list[str] = []

    def plan(self, stages: Sequence[ExpectedStage], at_once: int = 1) -> None:
        self.planned = [*stages]

    def stage(self, name: str) -> None:
        self.begun.append(name)


@pytest.mark.toolkit
def test_a_run_tells_its_stages_and_what_they_took_before(
    small_cnn: Path, image_folder: Path, tmp_path: Path
) -> None:
    recipe = make_recipe(
        small_cnn,
        cache=Cache(tmp_path / "cache"),
        **{"calib": image_folder, "calib_count": 4, "target": ["rv1106"], "mixed": "off"},
    )
    first, again = Told(), Told()
    report = run(recipe, tmp_path / "out", first)
    assert [stage.name for stage in first.planned] == first.begun
    assert not any(stage.seconds or stage.is_measured for stage in first.planned)
    took = {stage.name: stage.seconds for stage in report.targets[0].stages if stage.seconds}
    run(recipe.with_options(seed=1), tmp_path / "out", again)
    expected = {stage.name: stage.seconds for stage in again.planned if stage.is_measured}
    assert expected == took
    kept = json.loads((tmp_path / "cache" / "stage-times.json").read_text())
    assert len(kept["runs"]) == 2
    other = Told()
    run(recipe.with_options(method="mse"), tmp_path / "out", other)  # nobody knows of that
    assert not any(stage.seconds for stage in other.planned)
