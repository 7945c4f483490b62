"""Kills at random moments, by a seed: nothing is lost or left, and no later result is another."""

from __future__ import annotations

import logging
import random
from pathlib import Path

import pytest

from kills import SIGNALS, VICTIMS, Kill, Killed

pytestmark = pytest.mark.toolkit

_log = logging.getLogger(__name__)  # -o log_cli=true -o log_cli_level=info shows each kill
_AGAIN = 5  # it is run undisturbed after so many kills
_FORGET = 10  # and begins anew after so many: the second five find results of an earlier run
_MODEL, _CALIB, _OUT = "../../m.onnx", ("--calib", "../../i"), ("-o", "../out")
# what is killed, and how often: 300 in all
COMMANDS: dict[str, tuple[int, list[object]]] = {
    "run": (50, ["run", _MODEL, *_CALIB, "-q", "--json", *_OUT]),
    "run-pruned": (
        45,
        [
            *("run", _MODEL, *_CALIB, "--prune", "macs=-20%", "--json", *_OUT),
            *("--depfile", "../out/run.d", "--report", "../out/run.html"),
        ],
    ),
    "prune": (
        35,
        ["prune", _MODEL, *_CALIB, "--prune", "macs=-30%", "--json", "-o", "../out/p.onnx"],
    ),
    "quantize": (35, ["quantize", _MODEL, *_CALIB, "--json", "-o", "../out/q.onnx"]),
    "convert": (45, ["convert", _MODEL, "--json", "-o", "../out/m.rknn"]),
    "check": (25, ["check", _MODEL, _MODEL, "--eval", "../../i", "--json"]),
    "init": (15, ["init", _MODEL, "--force", *_OUT]),
    "inspect": (15, ["inspect", _MODEL, "--json"]),
    "doctor": (10, ["doctor", "--json"]),
    "cache": (5, ["cache", "--json"]),
    "demo": (20, ["demo", "--json", *_OUT]),
}


def broken_by_kills(name: str, count: int, folder: Path) -> list[str]:
    """Kill a command ``count`` times; return what should not be."""
    killed, broken = Killed(folder / name, COMMANDS[name][1]), []
    choice = random.Random(name)
    for number in range(1, count + 1):
        if number % _FORGET == 1:
            killed.forget()
        moment = choice.uniform(0, 1.05 * killed.given.seconds)
        kill = Kill(choice.choice(SIGNALS), choice.choice(VICTIMS), moment)
        texts = killed.kill(kill)
        if number % _AGAIN == 0 or number == count:
            texts += killed.again()
        broken += [f"{kill}: {text}" for text in texts]
        _log.info("%s: %s: %s", name, kill, texts or "as it should be")
    return broken


@pytest.fixture
def folder(small_cnn: Path, image_folder: Path, tmp_path: Path) -> Path:
    """With the inputs that all commands have."""
    small_cnn.rename(tmp_path / "m.onnx")
    image_folder.rename(tmp_path / "i")
    return tmp_path


def test_kills_are_300() -> None:
    assert sum(count for count, _ in COMMANDS.values()) == 300


@pytest.mark.soak
@pytest.mark.parametrize("name", COMMANDS)
def test_kills_change_nothing(name: str, folder: Path) -> None:
    assert broken_by_kills(name, COMMANDS[name][0], folder) == []


def test_four_kills_change_nothing(folder: Path) -> None:
    assert broken_by_kills("inspect", 4, folder) == []
