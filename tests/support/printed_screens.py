"""What a program prints: in a terminal of any width, or in a log."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from terminals import read_all

LOG = 0  # no terminal
CODE = re.compile(r"\x1b\[([\d;]*)m")


def environment(**more: str) -> dict[str, str]:
    """Return the variables of a terminal of 256 colours, without what says otherwise."""
    names = ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "COLORTERM", "GITHUB_ACTIONS", "COLORFGBG")
    left = {name: value for name, value in os.environ.items() if name not in names}
    return {**left, "TERM": "xterm-256color", **more}


@lru_cache
def printed(program: Path, width: int, *variables: str) -> str:
    """Return what a program prints in a terminal of so many columns, or into a pipe."""
    variables_of = environment(**dict(each.split("=") for each in variables))
    command = [sys.executable, str(program)]
    if width == LOG:
        return subprocess.run(
            command, capture_output=True, text=True, env=variables_of, check=True
        ).stdout
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 50, width, 0, 0))
    process = subprocess.Popen(command, stdout=its, env=variables_of)
    os.close(its)
    text = read_all(ours).decode()
    assert process.wait() == 0
    return text.replace("\r\n", "\n")


def require_as_before(file: Path, screens: Mapping[int, str]) -> None:
    """Fail unless a file holds these texts, by their width, without their colours.

    With ROCKPRESS_WRITE_SCREENS in the environment it is written anew.
    """
    parts = [
        f"===== {f'{width} columns' if width else 'a log'}\n{CODE.sub('', screen)}"
        for width, screen in screens.items()
    ]
    text = "\n".join(line.rstrip() for line in "\n".join(parts).splitlines()) + "\n"
    if os.environ.get("ROCKPRESS_WRITE_SCREENS"):
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    assert file.read_text() == text
