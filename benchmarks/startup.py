"""How long ``rockpress --help`` takes, beside what it cannot be faster than.

The commands take turns in one run, so that a machine that slows down slows them all; the table
gives the median, the fastest and the ratio of the medians to that of a bare Typer app.

    python benchmarks/startup.py [REPETITIONS]
"""

from __future__ import annotations

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


def main() -> int:
    """Print the table; exit with 1 when the promise does not hold."""
    repetitions = int(sys.argv[1]) if len(sys.argv) > 1 else REPETITIONS
    taken = measure(repetitions)
    medians = {name: statistics.median(times) for name, times in taken.items()}
    print(f"{f'median of {repetitions}':28}{'ms':>8}{'fastest':>10}{'ratio':>8}")
    for name, median in medians.items():
        ratio = median / medians[REFERENCE]
        print(f"{name:28}{median * 1e3:8.0f}{min(taken[name]) * 1e3:10.0f}{ratio:8.2f}")
    return int(medians[PROMISED] > MOST_OF_REFERENCE * medians[REFERENCE])


if __name__ == "__main__":
    sys.exit(main())
