"""No command writes over what it reads, and what cannot be written is told before anything runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from commands import Run

RECIPE = """
model = "small_cnn.onnx"
calib = "images"
metric = "line-accuracy"
metric-option.charset = "keys.txt"
"""


@pytest.fixture
def place(
    small_cnn: Path, image_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """The current folder, with a recipe, its model and samples, and a file for a folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "keys.txt").write_text("\n".join("abcdefghi"))
    (tmp_path / "afile").write_text("")
    (tmp_path / "val.json").write_text("{}")
    (tmp_path / "build").mkdir()
    (tmp_path / "rockpress.toml").write_text(RECIPE)
    return tmp_path


def tree(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b""
        for path in sorted(folder.rglob("*"))
    }


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        ("--depfile small_cnn.onnx", 2, "--depfile small_cnn.onnx would replace what is read"),
        ("--depfile rockpress.toml", 2, "--depfile rockpress.toml would replace what is read"),
        ("--depfile keys.txt", 2, "--depfile keys.txt would replace what is read"),
        ("--depfile images/{image}", 2, "would replace what is read"),
        ("--eval val.json --report val.json", 2, "--report val.json would replace what is read"),
        ("--report r.html --depfile ./r.html", 2, "--depfile r.html: a report is written there"),
        ("--depfile build/report.json", 2, "a report is written there"),
        ("--depfile build/rk3588/small_cnn.rknn", 2, "results are written there"),
        ("--depfile images", 1, "cannot write images: it is a folder"),
        ("--depfile afile/x.d", 1, "cannot make the folder afile: afile is a file"),
        ("--report afile/x.html", 1, "cannot make the folder afile: afile is a file"),
        ("--report folder.html", 1, "cannot write folder.html: it is a folder"),
        ("-o broken", 1, "cannot write broken/report.json: it is a folder"),
        ("-o full", 1, "cannot write full/rk3588/small_cnn.rknn: it is a folder"),
        ("-o was --eval was/report.json", 2, "-o was/report.json would replace what is read"),
    ],
)
@pytest.mark.parametrize("dry_run", [[], ["--dry-run"]])
def test_a_place_that_cannot_be_is_refused_at_once(
    dry_run: list[str], options: str, code: int, said: str, place: Path, rockpress: Run
) -> None:
    (place / "broken" / "report.json").mkdir(parents=True)
    (place / "full" / "rk3588" / "small_cnn.rknn").mkdir(parents=True)
    (place / "folder.html").mkdir()
    (place / "was").mkdir()
    (place / "was" / "report.json").write_text("{}")
    image = next((place / "images").iterdir()).name
    before = tree(place)
    words = options.format(image=image).split()
    found, _, err = rockpress("run", "rockpress.toml", *words, *dry_run, "-q")
    assert (found, said in err) == (code, True), err
    assert "hint: " in err
    assert tree(place) == before


def test_a_report_of_check_is_no_input(place: Path, rockpress: Run) -> None:
    line = ["check", "small_cnn.onnx", "small_cnn.onnx", "--eval", "val.json"]
    code, _, err = rockpress(*line, "--report", "val.json")
    assert (code, "--report val.json would replace what is read" in err) == (2, True)
    assert (place / "val.json").read_text() == "{}"


def test_a_report_does_not_take_the_place_of_the_one_that_it_is_held_against(
    place: Path, rockpress: Run
) -> None:
    (place / "r.json").write_text(old := '{"schema": 1, "targets": []}')
    line = ["check", "small_cnn.onnx", "small_cnn.onnx", "--calib", "images", "-q"]
    line += ["--baseline", "r.json"]
    for more in ([], ["--max-regression", "size=2%"]):
        code, _, err = rockpress(*line, *more, "--report", "r.json")
        assert (code, "--report r.json would replace what is read" in err) == (2, True)
        assert "hint: give it a name of its own" in err
        assert (place / "r.json").read_text() == old
    assert rockpress(*line, "--report", "new.json")[0] == 0


def test_a_cache_that_cannot_be_used_is_told(
    place: Path, rockpress: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = ["run", "rockpress.toml", "--dry-run"]
    for cache in ("afile", "afile/below"):
        monkeypatch.setenv("ROCKPRESS_CACHE_DIR", cache)
        said = f"warning: nothing is kept of finished stages in {cache}: afile is no folder"
        code, _, err = rockpress(*(run if cache == "afile" else ["cache"]))
        assert (code, err.splitlines()[0]) == (0, f"{said} [cache-folder]"), err
    monkeypatch.setenv("ROCKPRESS_CACHE_DIR", str(place / "to" / "be" / "made"))
    assert rockpress("cache")[2] == ""
    assert not (place / "to").exists()


def test_a_cache_is_cleared_or_shrunk(
    place: Path, rockpress: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROCKPRESS_CACHE_DIR", str(place))
    (place / "ab" / "c").mkdir(parents=True)
    code, _, err = rockpress("cache", "--shrink", 1, "--clear")
    assert (code, "leave one of the two out" in err) == (2, True)
    assert (place / "ab" / "c").is_dir()


def test_a_toolkit_python_that_is_none(place: Path, rockpress: Run) -> None:
    code, _, err = rockpress("run", "rockpress.toml", "--toolkit-python", "/nope/python")
    said = "error: --toolkit-python /nope/python is no Python that runs\n"
    assert (code, err.startswith(said)) == (1, True), err
    (place / "bare").write_text(
        "#!/bin/sh\n"
        """echo '{"versions": {"rknn-toolkit2": null}, "needs": [], "markers": {}}'\n"""
    )
    (place / "bare").chmod(0o755)
    code, _, err = rockpress("run", "rockpress.toml", "--toolkit-python", "./bare")
    assert (code, "rknn-toolkit2 is not installed for --toolkit-python" in err) == (1, True), err
