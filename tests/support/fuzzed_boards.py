"""What a board says and shows, as inputs that are changed at random; see fuzzed_kinds.py.

A stand-in for ssh plays what a real agent once said to the same command, with a change in it; and
the files of a board that is a folder are changed beside an agent that is whole.
"""

from __future__ import annotations

import os
import random
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from commands import in_a_process
from fuzzed_kinds import Files, Fuzzed
from mutations import mutated_bytes, mutated_json
from rknn_files import rknn_with_manifest
from stand_in_board import NPU, StandInBoard

_BENCH = ["bench", "../net.rknn", "--runs", "2", "--drift-runs", "0", "--json"]
_OVER_SSH = [*_BENCH, "--board", "ssh://pi@orange", "--timeout", "5"]
_HERE = [*_BENCH, "--board", "local", "--timeout", "5"]
# The last word is what is to be run there: the line that keeps the folder, one that writes a file,
# or the agent.
_PLAYED = """#!/bin/sh
for line; do :; done
case $line in
  *"trap end EXIT"*) cat ../keeper; exec cat >/dev/null ;;
  *"cat >/"*) exec cat >/dev/null ;;
  *) cat ../replies; exec cat >/dev/null ;;
esac
"""
_RECORDED = """#!/bin/sh
for line; do :; done
case $line in
  *"trap end EXIT"*) sh -c "$line" | tee ../keeper ;;
  *"cat >/"*) exec sh -c "$line" ;;
  *) sh -c "$line" | tee ../replies ;;
esac
"""
# what is changed of the files of a board
_SHOWN = {
    "board-tree": ("/proc/device-tree/compatible", "maker,x\0rockchip,rk3588\0"),
    "board-sensor": ("/sys/class/hwmon/hwmon0/power1_input", "4000000\n"),
    "board-clock": (f"{NPU}/available_frequencies", "300000000 1000000000\n"),
    "board-load": ("/sys/kernel/debug/rknpu/load", "NPU load:  Core0:  0%, Core1:  7%,\n"),
    "board-heat": ("/sys/class/thermal/thermal_zone0/temp", "41500\n"),
}


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="fuzzed-boards-")


def _with_ssh(name: str, script: str) -> dict[str, str]:
    """Return an environment in which ssh is a script."""
    tools = Path(_folder().name) / name
    tools.mkdir(exist_ok=True)
    (tools / "ssh").write_text(script)
    (tools / "ssh").chmod(0o755)
    return {"PATH": f"{tools}:{os.environ['PATH']}"}


def _board_beside() -> tuple[Files, Mapping[str, str]]:
    """Return the files of a board, in a folder beside the command, and its environment."""
    with tempfile.TemporaryDirectory() as temporary:
        board = StandInBoard(Path(temporary) / "board")
        root = board.root
        paths = [path for path in root.rglob("*") if path.is_file()]
        files = {f"root/{path.relative_to(root)}": path.read_bytes() for path in paths}
        files["settings"] = (Path(temporary) / "board" / "settings").read_bytes()
        environment = {
            **board.environment,
            "ROCKPRESS_BOARD_ROOT": "../root",
            "ROCKPRESS_STAND_IN": "../settings",
        }
    return files, environment


@cache
def _model() -> Files:
    with tempfile.TemporaryDirectory() as temporary:
        path = rknn_with_manifest(Path(temporary) / "net.rknn", ())
        return {each.name: each.read_bytes() for each in path.parent.iterdir()}


@cache
def _played() -> Files:
    """Return what the keeper and the agent say when the command runs through."""
    files, environment = _board_beside()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "cwd").mkdir()
        for name, content in {**files, **_model()}.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        there = {
            name: str(folder / value.removeprefix("../")) if value.startswith("../") else value
            for name, value in environment.items()
        }
        around = {**os.environ, **there, **_with_ssh("recorded", _RECORDED)}
        done = in_a_process(*_OVER_SSH, cwd=folder / "cwd", env=around)
        assert done.returncode == 0, done.stderr
        return {name: (folder / name).read_bytes() for name in ("keeper", "replies")}


def mutated_frames(content: bytes, rng: random.Random) -> bytes:
    """Change a value in one of the lines of JSON, or some bytes."""
    lines = content.split(b"\n")
    place = rng.randrange(len(lines))
    if not lines[place].startswith(b"{"):
        return mutated_bytes(content, rng)
    lines[place] = mutated_json(lines[place], rng)
    return b"\n".join(lines)


def _of_link(name: str) -> Fuzzed:
    return Fuzzed(
        name,
        lambda: _played()[name],
        mutated_frames,
        [_OVER_SSH],
        lambda: {**_model(), **_played()},
        tried=4 if name == "replies" else 2,
        environment=lambda: _with_ssh("played", _PLAYED),
    )


def _of_files(path: str, text: str) -> Fuzzed:
    return Fuzzed(
        f"root{path}",
        text.encode,
        mutated_bytes,
        [_HERE],
        lambda: {**_model(), **_board_beside()[0]},
        tried=1,
        environment=lambda: _board_beside()[1],
    )


BOARD_KINDS = {
    "board-replies": _of_link("replies"),
    "board-keeper": _of_link("keeper"),
    **{kind: _of_files(path, text) for kind, (path, text) in _SHOWN.items()},
}
