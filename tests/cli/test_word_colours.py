"""What stands out on stderr in a terminal, and nowhere else."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from terminals import read_all

CODE = re.compile(r"\x1b\[[\d;]*m")
WARNS = """
from rockpress.cli.progress_display import watching
from rockpress.core.diagnostics import Diagnostic
with watching(quiet=QUIET) as progress:
    progress.stage("baseline")
    progress.warn(Diagnostic("toolkit-nan", "a NaN", "look"))
"""


def stderr_of(command: list[str], *, terminal: bool, **variables: str) -> str:
    names = ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "GITHUB_ACTIONS")
    left = {name: value for name, value in os.environ.items() if name not in names}
    environment = {**left, "TERM": "xterm-256color", **variables}
    if not terminal:
        return subprocess.run(command, capture_output=True, text=True, env=environment).stderr
    ours, its = pty.openpty()
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=its, env=environment)
    os.close(its)
    return read_all(ours).decode().replace("\r\n", "\n")


FAILS = [sys.executable, "-m", "rockpress", "inspect", "nowhere.onnx"]
QUIETLY, LOUDLY = ([sys.executable, "-c", WARNS.replace("QUIET", str(q))] for q in (True, False))
ERROR, WARNING, HINT = "\x1b[1;37;41merror:", "\x1b[1;30;43mwarning:", "\x1b[1mhint:"


def test_an_error_stands_out_in_a_terminal() -> None:
    shown = stderr_of(FAILS, terminal=True)
    assert shown.startswith(f"{ERROR}\x1b[0m nowhere.onnx") and f"\n{HINT}\x1b[0m " in shown
    assert CODE.sub("", shown) == stderr_of(FAILS, terminal=False)


@pytest.mark.parametrize("command", [QUIETLY, LOUDLY], ids=["quiet", "with progress"])
def test_a_warning_stands_out_beside_the_progress(command: list[str]) -> None:
    shown = stderr_of(command, terminal=True)
    if command is LOUDLY and version("rich").startswith("13."):
        pytest.skip("Rich 13 leaves the colours out beside its bars")
    assert f"{WARNING}\x1b[0m a NaN [toolkit-nan]" in shown
    assert f"{HINT}\x1b[0m look" in shown


def test_colours_are_as_the_environment_has_it() -> None:
    plain = stderr_of(FAILS, terminal=False)
    assert "\x1b" not in plain
    assert stderr_of(FAILS, terminal=True, NO_COLOR="1") == plain
    assert stderr_of(FAILS, terminal=True, TERM="dumb") == plain
    assert stderr_of(FAILS, terminal=False, FORCE_COLOR="1").startswith(ERROR)
    assert stderr_of(FAILS, terminal=False, FORCE_COLOR="1", NO_COLOR="1") == plain


def test_a_value_with_the_word_is_left_alone(tmp_path: Path) -> None:
    shown = stderr_of([*FAILS[:-1], str(tmp_path / "warning: x.onnx")], terminal=True)
    assert shown.count("\x1b[1;") == 1 and "\x1b[1;30;43m" not in shown
