"""The commands of docs/tune.md, one after the other; points are measured by toy_trial.py."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import toy_search
import toy_tune
from commands import COMMAND

pytestmark = pytest.mark.toolkit
PAGE = Path(__file__).parents[2] / "docs" / "tune.md"


@pytest.mark.usefixtures("image_folder", "labelled_folder")
def test_the_commands_of_the_page(small_cnn: Path, tmp_path: Path) -> None:
    optuna = pytest.importorskip("optuna")
    small_cnn.rename(tmp_path / "model.onnx")
    environment = {**os.environ, **toy_search.prepare(tmp_path / "toy")}
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    verbs, measured = [], list[list[str]]()
    for text in re.findall(r"^    rockpress (.*)$", PAGE.read_text(), re.MULTILINE):
        verb, *words = shlex.split(text)
        program = [sys.executable, toy_tune.__file__] if verb == "tune" else COMMAND
        done = subprocess.run(
            [*program, verb, *words], cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
        verbs.append(verb)
        log = (tmp_path / "toy" / "log.txt").read_text().split()
        measured.append([name for name in log if name != "toolkit"])  # that is no point
    assert verbs == ["tune", "tune", "run", "tune"]
    assert len(measured[0]) < len(measured[1]) == len(set(measured[1]))  # none is measured again
    # but for files of the front of the first 32, which that of 48 had no use for
    assert set(measured[3]) == set(measured[1])
    assert list((tmp_path / "build" / "chosen").rglob("*.rknn"))
    assert (tmp_path / "build" / "tune.html").is_file()
    (study,) = optuna.get_all_study_summaries(f"sqlite:///{tmp_path}/study.db")
    assert study.n_trials == 32
