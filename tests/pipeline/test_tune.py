"""``rockpress tune`` on the bundled model, with the real toolkit."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from commands import COMMAND, Run
from rockpress.calibration_data.bundled import (
    CALIBRATION,
    DEMO_PREPROCESS,
    MODEL,
    TEST,
    sample_path,
)
from rockpress.pipeline.recipes.recipe_file import read_jobs
from rockpress.pipeline.tune import tune
from rockpress.pipeline.tune_references import TuneReferences

pytestmark = pytest.mark.toolkit
TWO_POINTS = 'prune = ["off"]\nmethod = ["min-max"]\nmixed = ["off"]\nscheme = ["w8a8", "float16"]'


def recipe_in(folder: Path, space: str = TWO_POINTS) -> Path:
    file = folder / "rockpress.toml"
    file.write_text(
        f'model = "{sample_path(MODEL)}"\ncalib = "{sample_path(CALIBRATION)}"\n'
        f'calib-count = 32\neval = "{sample_path(TEST)}"\nmean = {list(DEMO_PREPROCESS.mean)}\n'
        f"std = {list(DEMO_PREPROCESS.std)}\n[tune]\n{space}\n"
    )
    return file


def running_in(group: int) -> list[int]:
    """Return the processes of a group, without those that have ended and nobody has waited for."""
    running = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                running.append(process.pid)
    return running


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tuned")
    words = ["tune", str(recipe_in(folder)), "-o", str(folder / "out"), "--quiet", "--json"]
    done = subprocess.run([*COMMAND, *words], capture_output=True, text=True, check=True)
    (folder / "said.json").write_text(done.stdout)
    return folder


def test_the_front_is_measured_on_all_samples_and_on_unseen_ones(tuned: Path) -> None:
    report = json.loads((tuned / "out" / "tune.json").read_text())
    assert report == json.loads((tuned / "said.json").read_text())
    assert report["is_final"]
    assert [point["settings"]["scheme"] for point in report["points"]] == ["w8a8", "float16"]
    on_front = [point for point in report["points"] if point["number"] in report["front"]]
    assert on_front
    for point in on_front:
        assert point["stage"] == "all samples"
        assert point["retention"]["low"] <= point["retention"]["value"]
        assert point["unseen"]["value"] > 0.9
        assert point["cost"] == point["figures"]["ms"]
        assert list((tuned / "out" / point["folder"] / "rk3588").glob("*.rknn"))


def test_the_front_is_held_against_float16_and_the_toolkit_s_own_quantizer(tuned: Path) -> None:
    report = json.loads((tuned / "out" / "tune.json").read_text())
    model, half, toolkit = report["references"]
    assert (model["name"], half["name"]) == ("float-model", "float16")
    assert 0.85 < model["figures"]["metric"] < 1
    assert (half["cost"], half["retention"]) == tuple(
        report["points"][1][name] for name in ("cost", "retention")
    )
    assert toolkit["failure"] == ""
    assert toolkit["cost"] == pytest.approx(report["points"][0]["cost"], rel=0.1)
    assert toolkit["retention"]["value"] > 0.9 and toolkit["unseen"]["value"] > 0.9
    assert report["chosen"] in (0, 1)


def test_files_of_what_is_not_on_the_front_are_gone(tuned: Path) -> None:
    report = json.loads((tuned / "out" / "tune.json").read_text())
    folders = {point["folder"] for point in report["points"]} - {None}
    there = {f"points/{path.name}" for path in (tuned / "out" / "points").iterdir()}
    assert there == folders


def test_the_chosen_point_is_a_recipe_that_can_be_run(tuned: Path, rockpress: Run) -> None:
    report = json.loads((tuned / "out" / "tune.json").read_text())
    chosen = report["points"][report["chosen"]]
    (job,) = read_jobs(tuned / "out" / "chosen.toml")
    assert job.recipe.quantize.scheme == chosen["settings"]["scheme"]
    assert job.recipe.samples.eval_part == "all"
    planned = rockpress("run", tuned / "out" / "chosen.toml", "--dry-run")
    assert planned.code == 0


def test_the_same_search_again_measures_nothing(tuned: Path, rockpress: Run) -> None:
    before = (tuned / "out" / "trials.jsonl").read_bytes()
    removed = next((tuned / "out" / "points").iterdir())
    shutil.rmtree(removed)
    again = rockpress("tune", tuned / "rockpress.toml", "-o", tuned / "out", "--workers", "1")
    assert again.code == 0
    assert (tuned / "out" / "trials.jsonl").read_bytes() == before
    assert list((removed / "rk3588").glob("*.rknn"))


def test_another_search_in_its_folder_is_refused(tuned: Path, rockpress: Run) -> None:
    words = ("tune", tuned / "rockpress.toml", "-o", tuned / "out", "--calib-count", "16")
    refused = rockpress(*words)
    assert refused.code == 1
    assert "another search: --calib-count differs" in refused.err


def test_a_rule_that_no_point_keeps_is_exit_4_with_the_front(tuned: Path, rockpress: Run) -> None:
    words = ("tune", tuned / "rockpress.toml", "-o", tuned / "out", "--pick", "latency=0.001ms")
    none = rockpress(*words)
    assert none.code == 4
    assert "none of 2 points is within 0.001ms" in none.out
    assert "the front" in none.out


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--for", "speed"), "--for"),
        (("--pick", "fps=30"), "is no rule"),
        (("--pick", "size=2MB"), "the search is for latency"),
        (("--time", "soon"), "--time"),
        (("--trials", "0"), "--trials"),
        (("--target", "rk3588", "--target", "rk3566"), "one after the other"),
        (("--target", "rv1106"), "no latency in milliseconds"),
    ],
)
def test_what_cannot_be_searched_is_one_line(
    words: tuple[str, ...], text: str, rockpress: Run, tmp_path: Path
) -> None:
    ended = rockpress("tune", recipe_in(tmp_path), "-o", tmp_path / "out", *words)
    assert ended.code == 2
    assert ended.err.count("error: ") == 1
    assert text in ended.err
    assert not (tmp_path / "out").exists()


def test_an_interrupt_leaves_the_front_so_far_and_no_process(tmp_path: Path) -> None:
    words = ["tune", str(recipe_in(tmp_path)), "-o", str(tmp_path / "out"), "--batch", "1"]
    process = subprocess.Popen(
        [*COMMAND, *words, "--workers", "1"],
        start_new_session=True,
        stderr=subprocess.PIPE,
        text=True,
    )
    trials = tmp_path / "out" / "trials.jsonl"
    end = time.monotonic() + 240
    while time.monotonic() < end and not (trials.exists() and b'"rung":2' in trials.read_bytes()):
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=30)[1]
    assert process.returncode == 130
    assert "rockpress: search" in said
    assert "the same command goes on after it" in said
    so_far = json.loads((tmp_path / "out" / "tune.json").read_text())
    assert not so_far["is_final"]
    assert so_far["points"]
    assert running_in(process.pid) == []
    assert b'"rung":2' in trials.read_bytes()


def test_an_interrupt_once_the_search_is_over_takes_nothing_of_it(
    tuned: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    (job,) = read_jobs(tuned / "rockpress.toml")
    (tuned / "out" / "chosen.toml").unlink(missing_ok=True)
    monkeypatch.setattr(TuneReferences, "measure", interrupted)
    with pytest.raises(KeyboardInterrupt):
        tune(job.recipe, tuned / "out", values=job.space)
    report = json.loads((tuned / "out" / "tune.json").read_text())
    assert report["is_final"] and report["references"] == []
    assert (tuned / "out" / "chosen.toml").exists()
