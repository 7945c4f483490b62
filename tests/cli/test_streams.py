"""Streams that are closed, and paths that no system takes: no bug, and no file of a failure."""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import onnx
import pytest

from commands import COMMAND, Ended, Run
from rockpress.core.errors import OutputError
from rockpress.core.files import require_file

LONG = "x" * 300


def with_closed(words: Sequence[str], closed: str, place: Path) -> subprocess.CompletedProcess[str]:
    line = f"exec {shlex.join([*COMMAND, *words])} {closed}"
    return subprocess.run(["sh", "-c", line], cwd=place, capture_output=True, text=True)


def quantize_line(model: Path, images: Path) -> list[str]:
    line = ["quantize", str(model), "-o", "q.onnx", "--calib", str(images), "--calib-count", "4"]
    return [*line, "--method", "min-max", "--mixed", "off", "-q"]


@pytest.fixture
def typed(small_cnn: Path, image_folder: Path, rockpress: Run) -> Callable[[str], Ended]:
    """Runs a line in which MODEL and IMAGES stand for those of the tests."""
    names = {"MODEL": small_cnn, "IMAGES": image_folder}
    return lambda line: rockpress(*(names.get(word, word) for word in line.split()))


@pytest.mark.parametrize("closed", [">&-", "<&- >&-"])
def test_a_closed_stdout_is_an_error_before_any_file(
    closed: str, small_cnn: Path, image_folder: Path, tmp_path: Path
) -> None:
    place = tmp_path / "place"
    place.mkdir()
    for words in (["inspect", "--json", str(small_cnn)], quantize_line(small_cnn, image_folder)):
        done = with_closed(words, closed, place)
        assert done.returncode == 1
        assert done.stderr.splitlines() == [
            "error: the result cannot be shown: stdout is closed",
            "hint: send it somewhere, such as >/dev/null",
        ]
        assert list(place.iterdir()) == []


@pytest.mark.parametrize("options", [["--json"], []])
def test_a_result_that_cannot_be_written_leaves_no_file(
    options: list[str], small_cnn: Path, image_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "place").mkdir()
    line = [*quantize_line(small_cnn, image_folder), *options]
    line[3] = "new/q.onnx"
    done = with_closed(line, ">/dev/full", tmp_path / "place")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-2:] == [
        "error: the result cannot be shown: No space left on device",
        "hint: send it somewhere, such as >/dev/null",
    ]
    assert list((tmp_path / "place").iterdir()) == []


def test_a_reader_that_goes_away_leaves_the_files(
    small_cnn: Path, image_folder: Path, tmp_path: Path
) -> None:
    line = shlex.join([*COMMAND, *quantize_line(small_cnn, image_folder)])
    subprocess.run(["sh", "-c", f"{{ {line}; echo $? >code; }} | true"], cwd=tmp_path, check=True)
    assert (tmp_path / "code").read_text() == "141\n"
    assert onnx.load(tmp_path / "q.onnx").graph.node
    assert (tmp_path / "q.plan.toml").is_file()


@pytest.mark.parametrize("closed", ["2>&-", "<&- 2>&-", "0<&- 2>&- 3>&-"])
def test_a_closed_stderr_changes_nothing_else(
    closed: str, small_cnn: Path, image_folder: Path, tmp_path: Path
) -> None:
    line = ["check", str(small_cnn), str(small_cnn), "--calib", str(image_folder), "--json"]
    done = with_closed(line, closed, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["schema"] == 1
    wrong = with_closed(["inspect", "nothing.onnx"], closed, tmp_path)
    assert (wrong.returncode, wrong.stdout) == (1, "")


def test_with_all_streams_closed_the_code_tells(small_cnn: Path, tmp_path: Path) -> None:
    assert with_closed(["inspect", str(small_cnn)], "<&- >&- 2>&-", tmp_path).returncode == 1


def test_a_failure_after_the_files_were_made_leaves_none(
    small_cnn: Path, image_folder: Path, tmp_path: Path, rockpress: Run
) -> None:
    """A model without outputs can be quantized, and then ONNX Runtime refuses it."""
    model = onnx.load(small_cnn)
    del model.graph.output[:]
    onnx.save(model, small_cnn)
    place = tmp_path / "place"
    line = quantize_line(small_cnn, image_folder)
    line[3] = str(place / "q.onnx")
    code, out, err = rockpress(*line)
    assert (code, out) == (1, ""), err
    assert not place.exists()


@pytest.mark.parametrize(
    ("command", "next_step"),
    [("quantize", "quantize_file.first_look"), ("prune", "tasks.pruning.look_at")],
)
def test_no_file_appears_when_what_follows_fails(
    command: str,
    next_step: str,
    small_cnn: Path,
    image_folder: Path,
    tmp_path: Path,
    rockpress: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise OutputError("no", "no")

    monkeypatch.setattr(f"rockpress.pipeline.{next_step}", fails)
    line = [command, small_cnn, "-o", tmp_path / "new" / "q.onnx", "--calib", image_folder, "-q"]
    line += ["--prune", "macs=-20%"] if command == "prune" else ["--mixed", "off"]
    assert rockpress(*line)[0] == 1
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    "line",
    [
        f"inspect {LONG}.onnx",
        f"inspect {LONG}.rknn",
        f"run {LONG}.onnx",
        f"run {LONG}.toml",
        f"quantize MODEL -o {LONG}.onnx --calib IMAGES",
        f"quantize MODEL -o q.onnx --calib {LONG}",
        f"prune MODEL -o {LONG}.onnx --prune macs=-20% --calib IMAGES",
        f"check MODEL {LONG}.onnx --calib IMAGES",
        f"check MODEL MODEL --calib IMAGES --report {LONG}.html",
        f"check MODEL MODEL --calib IMAGES --baseline {LONG}.json",
        f"convert MODEL -o {LONG}.rknn",
        f"convert MODEL -o a.rknn --plan {LONG}.toml",
        f"init MODEL -o {LONG}",
        f"run MODEL --calib IMAGES --dry-run --depfile {LONG}",
        f"run MODEL --calib IMAGES --dry-run -o {LONG}",
        "inspect loop.onnx",
        "quantize MODEL -o q.onnx --calib loop.onnx",
        "compare loop.onnx loop.onnx",
        "predict MODEL IMAGES -o loop.onnx",
        "predict MODEL IMAGES -o loop.onnx/drawn",
        "init MODEL -o loop.onnx",
        "run MODEL --calib IMAGES --baseline loop.onnx/r.json --max-regression size=2% --dry-run",
    ],
)
def test_a_path_that_no_system_takes(
    line: str, typed: Callable[[str], Ended], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "place"
    place.mkdir()
    monkeypatch.chdir(place)
    (place / "loop.onnx").symlink_to("loop.onnx")
    code, out, err = typed(line)
    assert (code in (1, 2), out) == (True, ""), err
    error, hint = err.splitlines()[-2:]
    assert error.startswith("error: ") and hint.startswith("hint: "), err
    assert [path.name for path in place.iterdir()] == ["loop.onnx"]


@pytest.mark.parametrize("line", ["inspect MODEL", "quantize MODEL -o q.onnx --calib IMAGES"])
def test_a_working_folder_that_was_removed(
    line: str, typed: Callable[[str], Ended], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    code, out, err = typed(line)
    expected = (0, "") if line.startswith("inspect") else (1, "error: cannot write in .: ")
    assert (code, err[: len(expected[1])]) == expected, err
    assert bool(out) == (code == 0)


def test_a_name_is_looked_at_with_all_that_is_added_to_it(
    small_cnn: Path, image_folder: Path, tmp_path: Path, rockpress: Run
) -> None:
    """It has room as a model's, and none for ".intended.onnx"."""
    model = small_cnn.rename(tmp_path / f"{'m' * 245}.onnx")
    code, _, err = rockpress("run", model, "--calib", image_folder, "-o", tmp_path / "out", "-q")
    assert code == 1
    assert err.startswith(f"error: cannot write {'m' * 40}...: the name has 259 bytes")
    line = ["quantize", small_cnn, "-o", tmp_path / f"{'m' * 245}.onnx", "--calib", image_folder]
    assert rockpress(*line, "-q")[0] == 1
    assert not (tmp_path / "out").exists()


def test_a_name_is_counted_in_bytes(tmp_path: Path) -> None:
    require_file(tmp_path / ("é" * 127))
    with pytest.raises(OutputError, match="has 256 bytes"):
        require_file(tmp_path / ("é" * 128))
