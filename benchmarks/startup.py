"""How long ``rockpress --help`` takes, beside what it cannot be faster than, and an unchanged run.

The commands take turns in one run, so that a machine that slows down slows them all; the table
gives the median, the fastest and the ratio of the medians to that of a bare Typer app. The run is
one whose result is in the cache, so it is made once before: that of the bundled model in float16,
or of what is given to ``--run``. It is measured in seconds of the processor's time.

    python benchmarks/startup.py [--repetitions N] [--beside PYTHON] [--run MODEL OPTIONS...]

With ``--beside``, the interpreter of another environment, its unchanged run takes turns with this
one's.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPETITIONS = 15
BARE_APP = '''\
import typer

app = typer.Typer()


@app.command()
def greet(name: str = "you") -> None:
    """Greet somebody."""


app()
'''
REFERENCE = "a bare Typer app, --help"
# The promise, and what is measured against it.
MOST_OF_REFERENCE = 1.2
PROMISED = "rockpress --help"
MOST_UNCHANGED = 1.0  # CPU seconds


def commands(folder: Path) -> dict[str, list[str]]:
    """Return the name and the command line of each command that is measured."""
    bare = folder / "bare.py"
    bare.write_text(BARE_APP)
    script = Path(sys.executable).with_name("rockpress")
    rockpress = [str(script)] if script.exists() else [sys.executable, "-m", "rockpress"]
    return {
        "python -c pass": [sys.executable, "-c", "pass"],
        "import typer": [sys.executable, "-c", "import typer"],
        REFERENCE: [sys.executable, str(bare), "--help"],
        PROMISED: [*rockpress, "--help"],
        "rockpress run --help": [*rockpress, "run", "--help"],
        "rockpress --version": [*rockpress, "--version"],
        "rockpress nosuch": [*rockpress, "nosuch"],
    }


def seconds_of(command: list[str]) -> float:
    """Return the seconds of one run of the command, its output thrown away."""
    start = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    return time.perf_counter() - start


def measure(repetitions: int) -> dict[str, list[float]]:
    """Return the seconds of all runs of the commands, in turns, after a round to warm the disk."""
    with tempfile.TemporaryDirectory() as folder:
        lines = commands(Path(folder))
        rounds = [
            {name: seconds_of(command) for name, command in lines.items()}
            for _ in range(repetitions + 1)
        ]
    return {name: [timed[name] for timed in rounds[1:]] for name in lines}


def bundled_run() -> list[str]:
    """Return the words of a run of the bundled model that is built once, in float16."""
    from rockpress.calibration_data.bundled import DEMO_PREPROCESS, MODEL, TEST, sample_path

    (mean,), (std,) = DEMO_PREPROCESS.mean, DEMO_PREPROCESS.std
    options = ["--scheme", "float16", "--mean", f"{mean}", "--std", f"{std}"]
    return [str(sample_path(MODEL)), "--eval", str(sample_path(TEST)), *options]


def cpu_seconds_of(command: list[str], cache: Path) -> float:
    """Return the processor's seconds of one run of the command, all its processes together."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {**os.environ, "ROCKPRESS_CACHE_DIR": str(cache)}
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure_unchanged(
    pythons: list[str], words: list[str], repetitions: int
) -> dict[str, list[float]]:
    """Return the CPU seconds of all unchanged runs of each interpreter, in turns."""
    with tempfile.TemporaryDirectory() as folder:
        places = {python: Path(folder) / str(index) for index, python in enumerate(pythons)}
        rounds = [
            {
                python: cpu_seconds_of(
                    [python, "-m", "rockpress", "run", *words, "-q", "-o", str(place / "out")],
                    place / "cache",
                )
                for python, place in places.items()
            }
            for _ in range(repetitions + 2)
        ]
    return {python: [taken[python] for taken in rounds[2:]] for python in pythons}


def print_unchanged(taken: dict[str, list[float]]) -> None:
    """Print a line for each interpreter."""
    for python, seconds in taken.items():
        median, fastest = statistics.median(seconds), min(seconds)
        print(f"rockpress run, unchanged: {median:.2f} CPU s, fastest {fastest:.2f} ({python})")


def main() -> int:
    """Print the table and the unchanged runs; exit with 1 when a promise does not hold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--repetitions", type=int, default=REPETITIONS)
    parser.add_argument("--beside", metavar="PYTHON", help="of an environment to compare with")
    parser.add_argument("--run", nargs=argparse.REMAINDER, help="what to run unchanged; comes last")
    args = parser.parse_args()
    taken = measure(args.repetitions)
    medians = {name: statistics.median(times) for name, times in taken.items()}
    print(f"{f'median of {args.repetitions}':28}{'ms':>8}{'fastest':>10}{'ratio':>8}")
    for name, median in medians.items():
        ratio = median / medians[REFERENCE]
        print(f"{name:28}{median * 1e3:8.0f}{min(taken[name]) * 1e3:10.0f}{ratio:8.2f}")
    pythons = [sys.executable, *([args.beside] if args.beside else [])]
    unchanged = measure_unchanged(pythons, args.run or bundled_run(), args.repetitions)
    print_unchanged(unchanged)
    is_quick = statistics.median(unchanged[sys.executable]) <= MOST_UNCHANGED
    return int(not is_quick or medians[PROMISED] > MOST_OF_REFERENCE * medians[REFERENCE])


if __name__ == "__main__":
    sys.exit(main())
