"""Two runs at once, with one output folder and one cache: both are right."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from commands import COMMAND
from rockpress.core.files import sha256_of

pytestmark = pytest.mark.toolkit


def started(folder: Path) -> subprocess.Popen[str]:
    words = ["run", "small_cnn.onnx", "--calib", "images"]
    return subprocess.Popen(
        [
            *COMMAND,
            *words,
            "--method",
            "min-max",
            "--target",
            "rv1106",
            "-o",
            "out",
            "--json",
            "-q",
        ],
        cwd=folder,
        env={**os.environ, "ROCKPRESS_CACHE_DIR": str(folder / "cache"), "TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: subprocess.Popen[str]) -> dict[str, Any]:
    out, told = process.communicate(timeout=300)
    assert process.returncode == 0, told
    report: dict[str, Any] = json.loads(out)
    return report


def test_two_runs_at_once_are_both_right(
    small_cnn: Path, image_folder: Path, tmp_path: Path
) -> None:
    # a .rknn is never made twice the same, so files of the two cannot be taken for one another
    reports = [ended(one) for one in [started(tmp_path), started(tmp_path)]]
    # what lies in the folder is of one of them, and all of it
    assert json.loads((tmp_path / "out" / "report.json").read_text()) in reports
    place = tmp_path / "out" / "rv1106"
    manifest = json.loads((place / "small_cnn.rknn.json").read_text())
    files = {"rknn": "small_cnn.rknn", **manifest["files"]}
    found = {name: sha256_of(place / file) for name, file in files.items()}
    assert found == {name: manifest["digests"][name] for name in files}
    assert not list(tmp_path.glob("rockpress-*"))
