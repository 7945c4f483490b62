"""What it costs that a command runs in a process of its own, under one that can end it.

Runs check and quantize on 1,000 samples in turn with and without, and prints the medians.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from rockpress.calibration_data.bundled import MODEL, TEST, sample_path

_ALONE = """
from rockpress.cli import main
main.supervised = lambda command, verbose: command()
main.main()
"""
_SUPERVISED = "from rockpress.cli.main import main; main()"
_SAMPLES = 1000


def main() -> None:
    """Print a line for each command: the seconds of both, and the difference in percent."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        for name, words in _commands(Path(folder)).items():
            alone, supervised = _medians(words, rounds, Path(folder))
            share = 100 * (supervised / alone - 1)
            print(f"{name}: alone {alone:.2f} s, supervised {supervised:.2f} s, {share:+.1f} %")


def _commands(folder: Path) -> dict[str, list[str]]:
    with np.load(sample_path(TEST)) as arrays:
        samples = {name: array[:_SAMPLES] for name, array in arrays.items()}
    np.savez(folder / "samples.npz", **samples)
    model, own = str(sample_path(MODEL)), str(folder / "samples.npz")
    output = ["-o", str(folder / "q.onnx")]
    counted = ["--calib", own, "--calib-count", str(_SAMPLES)]
    return {
        "check": ["check", model, model, "--eval", own, "--quiet"],
        "quantize": ["quantize", model, *counted, *output, "--quiet"],
    }


def _medians(words: list[str], rounds: int, folder: Path) -> tuple[float, float]:
    """Return the seconds without and with supervision; the two take turns, the first is dropped."""
    seconds: dict[str, list[float]] = {_ALONE: [], _SUPERVISED: []}
    for _ in range(rounds + 1):
        for code, own in seconds.items():
            own.append(_seconds(code, words, folder))
    alone, supervised = (statistics.median(own[1:]) for own in seconds.values())
    return alone, supervised


def _seconds(code: str, words: list[str], folder: Path) -> float:
    """CPU seconds of the command and its children: what else runs here does not count."""
    with tempfile.TemporaryDirectory(dir=folder) as cache:
        environment = {**os.environ, "ROCKPRESS_CACHE_DIR": cache}
        command = [sys.executable, "-c", code, *words]
        before = os.times()
        subprocess.run(command, env=environment, check=True, capture_output=True)
        after = os.times()
    used = after.children_user + after.children_system
    return used - before.children_user - before.children_system


if __name__ == "__main__":
    main()
