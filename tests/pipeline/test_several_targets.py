"""Several targets in one command: side by side, within one memory budget, failures kept apart."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import onnx
import psutil
import pytest

from commands import COMMAND, Run
from graphs import model_of, random_feeds
from rockpress.convert.chips.targets import Target, find_target
from rockpress.convert.toolkit.failures import ToolkitCrashed, ToolkitEnded, ToolkitOutOfMemory
from rockpress.core.diagnostics import Diagnostic
from rockpress.core.errors import ModelError, OptionError, RockpressError
from rockpress.core.progress import SILENT, Progress
from rockpress.core.results.model_figures import NOTHING_COMPARED, Ratios
from rockpress.core.results.report import Report, TargetReport, ToolVersion
from rockpress.pipeline.convert_file import convert_file
from rockpress.pipeline.parallel import AllFailed, each_target
from rockpress.pipeline.recipes.recipe import Recipe, make_recipe
from rockpress.report.documents.document import comparable, to_document
from rockpress.report.formats import md
from samples import save_feeds
from terminals import read_all

pytestmark = pytest.mark.toolkit

TWO = ["--target", "rk3588", "--target", "rk3566"]
# pruned in steps of 16 channels on the one, where too few are left to prune, of 8 on the other
ONE_FAILS = ["--target", "rv1106", "--target", "rv1106b", "--prune", "cycles=-60%"]
# An interpreter in whose hands the builds of one chip end in the way that a test asks for.
INTERPRETER = """#!/bin/sh
if [ "$1" != -c ]; then
    until [ -s job.json ]; do sleep 0.02; done
    if {condition}; then {end}; fi
fi
exec "{python}" "$@"
"""


class Place:
    """A folder to start the command in, with ``temp`` for temporary files."""

    def __init__(self, folder: Path, run: Run) -> None:
        self.folder = folder
        self.temp = folder / "temp"
        self.run = run

    def start(self, *args: object, **streams: Any) -> subprocess.Popen[str]:
        """The command in a process of its own."""
        words = [*COMMAND, *map(str, args)]
        return subprocess.Popen(
            words, cwd=self.folder, text=True, start_new_session=True, **streams
        )

    def files(self, folder: str = "out") -> set[str]:
        below = (self.folder / folder).rglob("*")
        return {str(path.relative_to(self.folder / folder)) for path in below if path.is_file()}

    def interpreter(self, condition: str, end: str) -> Path:
        path = self.folder / "python"
        text = INTERPRETER.format(condition=condition, end=end, python=sys.executable)
        path.write_text(text)
        path.chmod(0o755)
        return path


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rockpress: Run) -> Place:
    folder = tmp_path / "place"
    (folder / "temp").mkdir(parents=True)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("TMPDIR", str(folder / "temp"))
    monkeypatch.setattr(tempfile, "tempdir", str(folder / "temp"))
    return Place(folder, rockpress)


def told_errors(err: str) -> list[str]:
    """The errors and hints, but not where the toolkit's own log is, which is removed."""
    lines = [line for line in err.splitlines() if not line.startswith("rockpress: ")]
    for line in lines:
        if line.startswith("log: "):
            Path(line.removeprefix("log: ")).unlink()
    return [line for line in lines if not line.startswith("log: ")]


def reproducible(document: dict[str, Any]) -> Any:
    """Two files for rv1106 differ in a few bytes, also when built one after the other."""
    same = comparable(document)
    for row in (row for target in same["targets"] for row in target["models"]):
        if row["stage"] == "rknn":
            del row["bytes"]
    return same


# run


def test_side_by_side_gives_what_one_after_the_other_gives(
    small_cnn: Path, labelled_folder: Path, place: Place
) -> None:
    line = ["run", small_cnn, "--calib", labelled_folder, "--eval", labelled_folder]
    line += ["--target", "rv1106", "--target", "rv1103b", "--json", "-o", "out", "--force"]
    documents = []
    for jobs in (1, 2):
        code, out, err = place.run(*line, "--jobs", jobs)
        assert code == 0, err
        assert (place.folder / "out" / "report.json").read_text() == out
        documents.append(json.loads(out))
        assert sum(name.endswith("small_cnn.rknn") for name in place.files()) == 2
        stages = [one for one in err.splitlines() if one.startswith("rockpress: rv1103b: ")]
        assert [re.split(r": | \(", one)[2] for one in stages] == [
            stage["name"]
            for stage in documents[-1]["targets"][1]["stages"]
            if stage["status"] == "done" and stage["name"] != "baseline"
        ]
    assert [one["target"] for one in documents[0]["targets"]] == ["rv1106", "rv1103b"]
    assert [one["error"] for one in documents[0]["targets"]] == [None, None]
    assert reproducible(documents[0]) == reproducible(documents[1])
    assert "jobs" not in documents[1]["recipe"]


@pytest.fixture
def stale(place: Place) -> list[str]:
    """Files of an earlier run, and one of somebody else."""
    names = ["rv1106/small_cnn.rknn", "rv1106/small_cnn.rknn.json", "rv1106/notes.txt"]
    for name in names:
        (place.folder / "out" / name).parent.mkdir(parents=True, exist_ok=True)
        (place.folder / "out" / name).write_text("of an earlier run")
    return names


def test_a_target_that_fails_does_not_lose_the_other(
    small_cnn: Path, image_folder: Path, place: Place, stale: list[str]
) -> None:
    line = ["run", small_cnn, "--calib", image_folder, *ONE_FAILS, "--jobs", 2, "-o", "out"]
    code, out, err = place.run(*line, "--report", "report.md", "--max-size-mb", "0.001")
    told = told_errors(err)
    told = told[next(n for n, line in enumerate(told) if line.startswith("error: ")) :]
    assert code == 1  # and not 4, though the gate of the other does not hold
    assert told[0].startswith("error: rv1106: the budget of -60.0% is out of reach")
    assert told[1:] == ["hint: ask for less"]
    assert "rockpress: rv1106: failed\n" in err

    assert out.startswith("FAIL rv1106: nothing was built: the budget of -60.0% is out of reach")
    assert "\nrv1106\nfailed in prune: the budget of -60.0% is out of reach" in out
    document = json.loads((place.folder / "out" / "report.json").read_text())
    assert document["verdict"] == "fail"
    failed, built = document["targets"]
    assert failed["target"] == "rv1106"
    assert set(failed) == set(built) - set("layers reference_layers graph drift feed parts".split())
    assert failed["error"]["message"] in told[0]
    assert failed["error"]["hint"] == "ask for less"
    assert (failed["models"], failed["gates"], failed["pruning"]) == ([], [], None)
    assert set(failed["retention"]) == set(built["retention"])
    assert set(failed["ratios"]) == set(built["ratios"])
    states = [(stage["name"], stage["status"]) for stage in failed["stages"]]
    assert states[-1] == ("prune", "failed")
    assert {status for _, status in states[:-1]} == {"done"}
    assert built["error"] is None
    assert built["gates"][0]["pass"] is False
    assert "# rockpress: ❌ FAIL" in (place.folder / "report.md").read_text()

    kept = {name for name in place.files() if not name.startswith("rv1106b/")}
    moved = {name.replace("rv1106/", "rv1106.old/") for name in stale[:2]}
    assert kept == {"report.json", stale[2], *moved}
    assert "rv1106b/small_cnn.rknn" in place.files()
    assert place.files("temp") == set()


def test_no_file_is_written_when_all_targets_fail(
    small_cnn: Path, image_folder: Path, place: Place, stale: list[str]
) -> None:
    crash = place.interpreter("true", "kill -SEGV $$")
    line = ["run", small_cnn, "--calib", image_folder, *TWO, "--quantize", "off", "-o", "out"]
    code, out, err = place.run(*line, "--toolkit-python", crash)
    assert (code, out) == (1, "")
    told = told_errors(err)
    assert [one.split(": ")[:2] for one in told[::2]] == [["error", "rk3588"], ["error", "rk3566"]]
    assert all("crashed (SIGSEGV)" in one for one in told[::2])
    assert [one.split(": ")[0] for one in told[1::2]] == ["hint", "hint"]
    assert place.files() == set(stale)
    assert place.files("temp") == set()


@pytest.mark.parametrize("command", ["run", "convert"])
def test_a_reason_that_holds_for_all_targets_is_told_once(
    command: str, small_cnn: Path, image_folder: Path, place: Place
) -> None:
    small_cnn.write_text("no model")
    line = [command, small_cnn, *TWO, "--jobs", 2, "-o", "out"]
    line += ["--calib", image_folder] if command == "run" else []
    code, out, err = place.run(*line)
    assert (code, out) == (1, "")
    assert [one.split(": ")[0] for one in told_errors(err)] == ["error", "hint"]
    assert f"error: {small_cnn}: " in err
    assert place.files() == set()


# convert


def test_convert_for_two_chips_within_a_memory_budget(small_cnn: Path, place: Place) -> None:
    """The one chip's build is killed, as by the kernel for want of memory, in a share of it."""
    limit = '[ "$(grep -c rk3566 job.json)" = 1 ] && ! grep -q "memory_limit.: 8589934592" job.json'
    python = place.interpreter(limit, "kill -KILL $$")
    line = ["convert", small_cnn, *TWO, "--jobs", 2, "--memory-limit", 8, "-o", "out"]
    code, out, err = place.run(*line, "--toolkit-python", python)
    assert code == 0, err
    said = [one for one in err.splitlines() if one.startswith("rockpress: rk3566")]
    assert said == [
        "rockpress: rk3566: convert",
        "rockpress: rk3566: failed in 4 GB, to be built again alone",
        "rockpress: rk3566: convert",
    ]
    assert place.files() == {
        f"{chip}/small_cnn{suffix}"
        for chip in ("rk3588", "rk3566")
        for suffix in (".rknn", ".rknn.json", ".prepared.onnx")
    }
    assert "out/rk3566/small_cnn.rknn: " in out
    assert "rockpress inspect out/rk3588/small_cnn.rknn" in out


def test_one_file_is_for_one_chip(tmp_path: Path) -> None:
    recipe = make_recipe(tmp_path / "m.onnx", target=("rk3588", "rk3566"))
    with pytest.raises(OptionError, match="convert makes one model, for one chip"):
        convert_file(recipe, tmp_path / "m.rknn")


def test_convert_when_one_chip_fails(small_cnn: Path, place: Place) -> None:
    line = ["convert", small_cnn, "--target", "rk3588", "--target", "rv1106", "--json", "-o", "out"]
    code, out, err = place.run(*line, "--quiet")
    assert code == 1
    has = "it has: w8a8, w16a16i"
    warning, _, error, hint = err.splitlines()
    assert warning.endswith("[result-larger]")  # so small a model
    assert error == "error: rv1106: rv1106 has no float16"
    assert hint.startswith(
        f"hint: {has}; or choose with --target one of those that have it: rk3588"
    )
    document = json.loads(out)
    assert document["schema"] == 1
    built, failed = document["targets"]
    assert (built["target"], built["path"]) == ("rk3588", "out/rk3588/small_cnn.rknn")
    assert failed["target"] == "rv1106"
    assert failed["error"]["message"] == "rv1106 has no float16"
    assert failed["error"]["hint"].startswith(has)
    assert {Path(name).parts[0] for name in place.files()} == {"rk3588"}


# Interruptions


def sleeping(process: subprocess.Popen[str]) -> list[psutil.Process]:
    found = []
    for child in psutil.Process(process.pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if child.name() == "sleep":
                found.append(child)
    return found


@pytest.mark.parametrize("command", ["run", "convert"])
def test_ctrl_c_with_two_children_at_work(
    command: str, small_cnn: Path, image_folder: Path, place: Place
) -> None:
    sleep = place.interpreter("true", "exec sleep 600")  # a build of which nothing is heard
    line = [command, small_cnn, *TWO, "--jobs", 2, "-o", "out", "--toolkit-python", sleep]
    line += ["--calib", image_folder] if command == "run" else []
    process = place.start(*line, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    children: list[psutil.Process] = []
    while len(children) < 2:
        assert process.poll() is None
        time.sleep(0.01)
        children = sleeping(process)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=300)
    assert (process.returncode, out) == (130, "")
    said = [one for one in err.splitlines() if not one.startswith("rockpress")]
    assert said[0] == "interrupted"
    assert [one.split(":")[0] for one in said[1:]] == (["hint"] if command == "run" else [])
    assert not [child for child in children if child.is_running()]
    assert {path.name for path in place.folder.iterdir()} == {"temp", "python"}
    assert list(place.temp.iterdir()) == []


# What is said on the way


def test_a_terminal_gets_a_row_for_each_target(
    small_cnn: Path, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TERM", "xterm")
    stderr, writer = pty.openpty()
    line = ["convert", small_cnn, *TWO, "--jobs", 2, "-o", "out"]
    process = place.start(*line, stdout=subprocess.DEVNULL, stderr=writer)
    os.close(writer)
    written = read_all(stderr)
    assert process.wait(timeout=300) == 0
    rows = re.split(r"[\r\n]+", re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", written.decode()))
    for target in ("rk3588", "rk3566"):
        assert any(row.startswith(f"{target}: convert: build") for row in rows)
        assert any(re.fullmatch(rf"{target}: convert +\d+ s", row) for row in rows)
    assert all(row.count("rk3") <= 1 for row in rows)  # each in a row of its own


# Targets, shares and failures, without the toolkit

CHIPS = [find_target(name) for name in ("rk3588", "rk3566", "rk3562")]


def result(target: Target, *codes: str) -> TargetReport:
    warnings = tuple(Diagnostic(code, "seen") for code in codes)
    return TargetReport(target.name, (), NOTHING_COMPARED, Ratios(), None, warnings=warnings)


def recipe(jobs: int) -> Recipe:
    return make_recipe(Path("m.onnx"), jobs=jobs, memory_limit=12)


def test_the_order_is_that_of_the_targets() -> None:
    later = threading.Event()

    def build(target: Target, recipe: Recipe, progress: Progress) -> TargetReport:
        if target is CHIPS[0]:
            assert later.wait(10)
        if target is CHIPS[2]:
            later.set()
        return result(target)

    found = each_target(CHIPS, recipe(2), build, SILENT)
    assert found == [result(target) for target in CHIPS]


@pytest.mark.parametrize("jobs", [1, 3])
def test_a_warning_is_told_at_once(jobs: int) -> None:
    seen = Diagnostic("a-code", "seen")

    class Listener(Progress):
        def __init__(self, name: str = "") -> None:
            self.name = name

        def of(self, target: str) -> Progress:
            return Listener(target)

        def warn(self, notice: Diagnostic) -> None:
            heard.add((self.name, notice))

        @property
        def shown(self) -> frozenset[tuple[str, str]]:
            return frozenset({(self.name, "told")})

    def build(target: Target, recipe: Recipe, progress: Progress) -> TargetReport:
        progress.warn(seen)
        assert (target.name, seen) in heard
        assert progress.shown == {(target.name, "told")}
        progress.of("another").warn(seen)
        return result(target)

    heard: set[tuple[str, Diagnostic]] = set()
    each_target(CHIPS, recipe(jobs), build, Listener())
    assert heard == {(name, seen) for name in [*(one.name for one in CHIPS), "another"]}


def test_what_is_so_for_all_targets_is_told_once(
    tmp_path: Path, rockpress: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is built: of the model once, of an operator for each chip that lacks it."""

    def stop(*_: object) -> None:
        raise RockpressError("this far")

    monkeypatch.setattr("rockpress.pipeline.computed_run.each_target", stop)
    nodes = "{ y = Conv (x, w)  s = Sigmoid (y)  z = Exp (s) }"
    text = f"(float[1,8,4,4] x) => (float[1,8,4,4] y, float[1,8,4,4] z) {nodes}"
    model = model_of(text, {"w": (8, 8, 1, 1)}, prepared=False)
    onnx.save(model, tmp_path / "m.onnx")
    calib = save_feeds(tmp_path / "calib.npz", random_feeds(model, 2))
    code, _, err = rockpress("run", tmp_path / "m.onnx", "--calib", calib, *TWO)
    assert code == 1 and "this far" in err
    lines = [line for line in err.splitlines() if line.startswith("warning: ")]
    assert [line.split("[")[-1] for line in lines] == [
        "fusion-sigmoid]",
        "cpu-fallback-operator]",
        "cpu-fallback-operator]",
    ]
    assert not lines[0].startswith("warning: rk") and lines[1].startswith("warning: rk3588: ")


@pytest.mark.parametrize(("jobs", "share"), [(1, 12.0), (2, 6.0), (3, 4.0), (8, 4.0)])
def test_the_memory_is_shared_by_those_that_run_at_once(jobs: int, share: float) -> None:
    seen = []

    def build(target: Target, recipe: Recipe, progress: Progress) -> TargetReport:
        seen.append(recipe.toolkit.memory_limit)
        return result(target)

    each_target(CHIPS, recipe(jobs), build, SILENT)
    assert seen == [share] * 3


@pytest.mark.parametrize(
    "trouble", [ToolkitOutOfMemory, ToolkitCrashed, ToolkitEnded, "toolkit-crash"]
)
def test_builds_that_may_lack_memory_are_tried_again_alone(trouble: Any) -> None:
    calls: list[tuple[str, float]] = []

    def build(target: Target, recipe: Recipe, progress: Progress) -> TargetReport:
        calls.append((target.name, recipe.toolkit.memory_limit))
        if target is CHIPS[1] and recipe.toolkit.memory_limit < 12:
            if isinstance(trouble, str):
                return result(target, trouble)
            raise trouble("it failed")
        return result(target)

    found = each_target(CHIPS, recipe(2), build, SILENT)
    assert found == [result(target) for target in CHIPS]
    assert calls[-1] == ("rk3566", 12)
    assert sorted(calls[:-1]) == [("rk3562", 6), ("rk3566", 6), ("rk3588", 6)]


def test_a_crash_with_all_of_the_memory_is_no_reason_to_try_again() -> None:
    calls = []

    def build(target: Target, recipe: Recipe, progress: Progress) -> TargetReport:
        calls.append(target.name)
        if target is CHIPS[1]:
            raise ToolkitCrashed("it crashed")
        return result(target)

    found = each_target(CHIPS, recipe(1), build, SILENT)
    assert isinstance(found[1], ToolkitCrashed)
    assert calls == [target.name for target in CHIPS]


@pytest.mark.parametrize("jobs", [1, 3])
def test_errors_of_all_targets(jobs: int) -> None:
    def build(target: Target, recipe: Recipe, progress: Progress) -> TargetReport:
        raise (OptionError if target is CHIPS[1] else ModelError)(f"no {target.name}", "a hint")

    with pytest.raises(AllFailed, match="all 3 targets failed; rk3588: no rk3588") as caught:
        each_target(CHIPS, recipe(jobs), build, SILENT)
    assert {name: error.message for name, error in caught.value.errors.items()} == {
        target.name: f"no {target.name}" for target in CHIPS
    }
    assert caught.value.exit_code == 1


def test_the_error_of_the_only_target_is_raised_as_it_is() -> None:
    error = OptionError("not possible")

    def build(target: Target, recipe: Recipe, progress: Progress) -> TargetReport:
        raise error

    with pytest.raises(OptionError) as caught:
        each_target(CHIPS[:1], recipe(4), build, SILENT)
    assert caught.value is error


@pytest.mark.parametrize("ending", [ZeroDivisionError, KeyboardInterrupt])
def test_a_bug_or_an_interruption_ends_the_others_at_their_next_step(ending: Any) -> None:
    at_work = threading.Event()
    ended = []

    def build(target: Target, recipe: Recipe, progress: Progress) -> TargetReport:
        progress.stage("build")
        if target is CHIPS[0]:
            assert at_work.wait(10)
            raise ending
        try:
            for step in range(1_000_000):
                at_work.set()
                progress.step("build", step)
        finally:
            ended.append(target.name)
        raise AssertionError("it was not stopped")

    with pytest.raises(ending):
        each_target(CHIPS, recipe(2), build, SILENT)
    assert "rk3566" in ended
    assert not [one for one in threading.enumerate() if one.name.startswith("rockpress")]


# The report


def report(*targets: TargetReport) -> Report:
    return Report(ToolVersion("rockpress"), ToolVersion("rknn-toolkit2"), {}, targets)


def test_warnings_in_markdown_stand_under_their_target() -> None:
    one, other = result(CHIPS[0], "some-code"), result(CHIPS[1], "other-code")
    first, second = md.render(report(one, other)).split("## ")[1:]
    assert first.startswith("rk3588\n") and "\n- `some-code`: seen" in first
    assert second.startswith("rk3566\n") and "\n- `other-code`: seen" in second
    assert "some-code" not in second


def test_a_failed_target_in_the_document_and_in_markdown() -> None:
    error: RockpressError = ToolkitCrashed("no *luck*", "try again", "a long log")
    failed = TargetReport("rk3566", (), NOTHING_COMPARED, Ratios(), None, error=error)
    document = to_document(report(result(CHIPS[0]), failed))
    assert document["verdict"] == "fail"
    assert document["targets"][1]["error"] == {"message": "no *luck*", "hint": "try again"}
    assert document["targets"][1]["retention"]["sqnr_db"] is None
    assert "a long log" not in json.dumps(document)
    text = md.render(report(failed))
    assert "## rk3566\n\n- failed: no \\*luck\\*\n- hint: try again" in text
    assert "|" not in text
