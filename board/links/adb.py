"""A board over the adb program, such as one that has a USB cable and no network."""

from __future__ import annotations

from contextlib import ExitStack

from ..faults.adb_faults import ADB_FAILED, ADB_FAULTS, ADB_LOST, ADB_SILENT, ADB_TOO_OLD, NO_ADB
from ..faults.fault import fault_in
from .address import BoardAddress
from .program import NO_PROGRAM, Program
from .shell_link import Shell, ShellLink

_ANSWER_SECONDS = 20.0  # it may have to start its server first
_NEEDED = "shell_v2"


def open_adb(address: BoardAddress, seconds: float) -> ShellLink:
    """Connect to a board; a file may take ``seconds`` to get there. Raises BoardError."""
    device = ["adb", *(["-s", address.serial] if address.serial else [])]
    _check(address, device)
    words = [*device, "shell", "-T"]
    shell = Shell(
        address.text,
        words,
        words,
        {},
        ADB_FAULTS,
        missing=NO_ADB,
        silent=ADB_SILENT,
        refusing=ADB_FAILED,
        lost=ADB_LOST,
        later=(),
        fields={},
    )
    return ShellLink(shell, seconds, ExitStack())


def _check(address: BoardAddress, device: list[str]) -> None:
    """Raise BoardError unless the device is there, and its shell takes bytes and gives codes."""
    try:
        program = Program([*device, "features"])
    except NO_PROGRAM as error:
        raise NO_ADB.error(address.text, str(error)) from error
    try:
        if not program.ended_within(_ANSWER_SECONDS):
            raise ADB_SILENT.error(address.text, seconds=f"{_ANSWER_SECONDS:g}")
        features = "\n".join(program.lines(1.0))
        words = f"{program.stderr_text()}\n{features}"
        if program.returncode:
            raise (fault_in(words, ADB_FAULTS) or ADB_FAILED).error(address.text, words)
        if _NEEDED not in features.split():
            raise ADB_TOO_OLD.error(address.text)
    finally:
        program.end(0)
