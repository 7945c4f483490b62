"""A board of 64-bit ARM that qemu plays: its programs see a folder before they see this machine.

A file in the folder stands for the one of the same path, such as /proc/device-tree/compatible or
/usr/lib/librknnrt.so; make qemu-board brings qemu, a Python for the board and a C compiler.
"""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest

from stand_in_board import STAND_IN_RUNTIME, StandInBoard, build_folder

TOOLS = Path(os.environ.get("ROCKPRESS_QEMU_BOARD", "")).absolute()
HAS_TOOLS = (TOOLS / ".stamp").is_file()
# for a file of tests
ON_QEMU = [
    pytest.mark.qemu,
    pytest.mark.skipif(not HAS_TOOLS, reason="make test-qemu brings what it needs"),
]


class QemuBoard(StandInBoard):
    """A board whose programs are of 64-bit ARM; its python3 is in ``bin``, for a PATH.

    They find the files of the board, the stand-in for the runtime among them, where a board has
    them; what the board does not have they find on this machine.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.bin = folder / "bin"
        self.environment = {"ROCKPRESS_STAND_IN": self.environment["ROCKPRESS_STAND_IN"]}
        _link_system(TOOLS / "root", self.root)
        self.path("/usr/lib/librknnrt.so").symlink_to(runtime_for_arm())
        self._write_python()

    def run(self, program: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a program of the board, "python3" or the path of one that was compiled for it."""
        start = [self.bin / "python3"] if program == "python3" else [*self._qemu(), program]
        return subprocess.run(
            [*start, *arguments],
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            timeout=300,
        )

    def _qemu(self) -> list[str | Path]:
        return [TOOLS / "qemu", "-L", self.root]

    def _write_python(self) -> None:
        """Write a program that runs the board's Python, which takes that for itself.

        So it also starts it, as a program that qemu runs starts programs of this machine. Compiled
        modules are kept apart, as they would be written into this machine's own Python.
        """
        self.bin.mkdir()
        file = self.bin / "python3"
        words = map(str, [*self._qemu(), "-0", file, self.path("/usr/bin/python3")])
        file.write_text(
            "#!/bin/sh\n"
            "unset PYTHONDONTWRITEBYTECODE PYTHONPATH PYTHONHOME\n"
            f"export PYTHONPYCACHEPREFIX={shlex.quote(str(TOOLS / 'bytecode'))}\n"
            f'exec {shlex.join(words)} "$@"\n'
        )
        file.chmod(0o755)


@cache
def runtime_for_arm() -> Path:
    """Build the stand-in for the runtime, once; return its path."""
    library = build_folder() / "librknnrt-arm.so"
    compile_for_arm([STAND_IN_RUNTIME], library, "-shared", "-fPIC", "-pthread")
    return library


def compile_for_arm(sources: Sequence[Path], program: Path, *options: str) -> None:
    """Compile C for the board, where a warning is an error."""
    strict = ["-O2", "-Wall", "-Wextra", "-Werror"]
    words = [str(TOOLS / "cc"), *strict, "-o", str(program), *map(str, sources), *options]
    done = subprocess.run(words, capture_output=True, text=True)
    assert not done.returncode, done.stderr


def _link_system(root: Path, folder: Path, own: Sequence[str] = ("usr", "lib")) -> None:
    """Link to the files of the system; the folders on the way to own files are the board's."""
    folder.mkdir(exist_ok=True)
    for entry in root.resolve().iterdir():
        if own and entry.name == own[0] and not entry.is_symlink():
            _link_system(entry, folder / entry.name, own[1:])
        else:
            (folder / entry.name).symlink_to(entry)
