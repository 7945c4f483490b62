"""Folders of somebody else in the place of the cache and of scratch, and entries that were planted.

Through the commands; what the cache does on its own is in pipeline/test_cache_folder.py.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from commands import Run
from rockpress.calibration_data.bundled import CALIBRATION, MODEL, sample_path
from rockpress.pipeline.caching.plain_files import sums_of

ONE, TWO = sample_path(MODEL), sample_path(CALIBRATION)
RUN = ["run", ONE, "--calib", TWO, "--calib-count", 8, "--mean", 73, "--std", 90, "-q"]
RUN += ["--method", "min-max", "--mixed", "off", "-o"]
BUILT = ["-board", ".intended.onnx", ".plan.toml", ".rknn", ".rknn.json"]


def precious(folder: Path, *names: str) -> list[Path]:
    """Write such files into the folder, and return the paths of all that is in it."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("precious")
    return sorted(folder.rglob("*"))


def built_in(folder: Path) -> list[str]:
    return sorted(path.name.removeprefix(ONE.stem) for path in (folder / "rk3588").iterdir())


@pytest.mark.toolkit
def test_a_run_beside_the_cache_of_somebody_else(
    rockpress: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    monkeypatch.setenv("ROCKPRESS_CACHE_DIR", str(home))
    before = precious(home, "go/pkg/code.txt", "db/main/data.sql", ".lock")
    assert rockpress("cache", "--clear").code == 1
    done = rockpress(*RUN, tmp_path / "out")
    assert done.code == 0, done.err
    assert "[cache-folder]" in done.err
    assert built_in(tmp_path / "out") == BUILT
    assert sorted(home.rglob("*")) == before


def test_a_folder_that_has_the_name_of_scratch(
    rockpress: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = precious(tmp_path, "rockpress-models/.lock", "rockpress-models/model.txt")
    assert rockpress("inspect", ONE).code == 0
    assert sorted(tmp_path.rglob("*")) == before


def plant(entry: Path, number: int, secret: Path) -> None:
    """Make of an entry one with links, with a value that is none, or with sums without end."""
    if number % 3 == 0:
        for path in [path for path in (entry / "files").rglob("*") if path.is_file()]:
            path.unlink()
            path.symlink_to(secret)
    elif number % 3 == 1:
        (entry / "value.json").write_text("null")
    (entry / "sums.json").write_text(json.dumps(sums_of(entry, "sums.json")))
    if number % 3 == 2:
        (entry / "sums.json").unlink()
        os.mkfifo(entry / "sums.json")


@pytest.mark.toolkit
def test_planted_entries_are_made_again(
    rockpress: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, secret = tmp_path / "cache", tmp_path / "secret"
    secret.write_text("TOP-SECRET")
    monkeypatch.setenv("ROCKPRESS_CACHE_DIR", str(cache))
    assert rockpress(*RUN, tmp_path / "first").code == 0
    entries = sorted(path.parent for path in cache.glob("??/*/sums.json"))
    assert len(entries) > 2
    for number, entry in enumerate(entries):
        plant(entry, number, secret)
    done = rockpress(*RUN, tmp_path / "second")
    assert done.code == 0, done.err
    assert built_in(tmp_path / "second") == BUILT
    for path in (tmp_path / "second").rglob("*"):
        assert path.is_dir() or (not path.is_symlink() and b"TOP-SECRET" not in path.read_bytes())
