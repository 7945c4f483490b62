"""The clocks at their maximum, on demand, and put back at any end.

What was there before is noted in a file first: whoever cleans up after the agent reads it. Where
all who could were killed, the next agent on the board does.
"""

from __future__ import annotations

import glob
import json
import os
import re
import shutil
import stat
from typing import Any

from .board_files import at_root, matching
from .conditions import DDR, NPU, POLICIES
from .wire import Refusal

_NOTE = "clocks.json"
_FASTEST = "performance"
_FOLDERS = "rockpress-board-*"  # as board/links/shell_link.py names them
_GOVERNOR = re.compile(r"[\w-]{1,32}\Z")


def set_to_maximum(folder: str) -> dict[str, Any]:
    """Give every clock the governor that keeps it at its maximum. Raises Refusal."""
    before = {path: _read(path) for path in _governors()}
    with open(os.path.join(folder, _NOTE), "w") as note:
        json.dump({"guardian": os.getppid(), "governors": before}, note)
    if not before:
        raise Refusal("clocks", "no clock of this board can be set")
    changed: list[str] = []
    for path, governor in before.items():
        if governor != _FASTEST:
            _write(path, _FASTEST)
            changed.append(path)
    return {"changed": changed}


def put_back(folder: str) -> dict[str, list[str]]:
    """Put the governors back that were noted; does nothing where there is no note.

    Return those that were put back, and those that could not be, as "path: governor".
    """
    done: dict[str, list[str]] = {"put_back": [], "left": []}
    path = os.path.join(folder, _NOTE)
    noted = _noted(path)
    if noted is None:
        return done
    # a note may be anybody's: nothing but governors is written
    for governor in _governors():
        word = noted["governors"].get(governor)
        if not isinstance(word, str) or not _GOVERNOR.match(word):
            continue
        try:
            _write(governor, word)
            done["put_back"].append(f"{governor}: {word}")
        except Refusal:  # the others are to be put back even so
            done["left"].append(f"{governor}: {word}")
    os.unlink(path)
    return done


def put_back_left(folder: str) -> dict[str, list[str]]:
    """Put back what agents have set that were killed with all that cleans up after them.

    ``folder`` is that of this agent, beside which theirs are; they are removed.
    """
    done: dict[str, list[str]] = {"put_back": [], "left": []}
    pattern = os.path.join(glob.escape(os.path.dirname(folder)), _FOLDERS, _NOTE)
    for path in sorted(glob.glob(pattern)):
        other = os.path.dirname(path)
        noted = _noted(path) if _is_private(other) else None
        if noted is None or other == folder or _is_running(noted.get("guardian"), other):
            continue
        for key, governors in put_back(other).items():
            done[key] += governors
        shutil.rmtree(other, ignore_errors=True)
    return done


def _governors() -> list[str]:
    governors = [path + "/governor" for pattern in (NPU, DDR) for path in matching(pattern)]
    governors += [path + "/scaling_governor" for path in matching(POLICIES)]
    return [at_root(path) for path in governors]


def _noted(path: str) -> dict[str, Any] | None:
    try:
        with open(path) as note:
            noted = json.load(note)
    except (OSError, ValueError):
        return None
    is_note = isinstance(noted, dict) and isinstance(noted.get("governors"), dict)
    return noted if is_note else None


def _is_private(folder: str) -> bool:
    """Return whether a folder is this user's, and no one else's to write into."""
    try:
        status = os.lstat(folder)
    except OSError:
        return False
    is_folder, is_open = stat.S_ISDIR(status.st_mode), stat.S_IMODE(status.st_mode) & 0o077
    return is_folder and not is_open and status.st_uid == os.getuid()


def _is_running(guardian: object, folder: str) -> bool:
    """Return whether the agent of a folder still runs: its command line names that."""
    try:
        with open(f"/proc/{guardian}/cmdline", "rb") as file:
            return os.path.basename(folder).encode() in file.read()
    except OSError:
        return False


def _read(path: str) -> str:
    try:
        with open(path) as file:
            return file.read().strip()
    except OSError as error:
        raise Refusal("clocks", f"{path}: {error.strerror}") from None


def _write(path: str, governor: str) -> None:
    try:
        with open(path, "w") as file:
            file.write(governor)
    except OSError as error:
        raise Refusal("clocks", f"{path}: {error.strerror}") from None
