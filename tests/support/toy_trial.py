"""In the place of ``rockpress run``: what a recipe of the toy truly has, in no time; and faults.

``python toy_trial.py run recipe.toml -o . -q`` writes report.json like TOY_REPORT, after adding the
name of its folder to TOY_LOG and sleeping for TOY_SECONDS. What a method does is in _FAULTS.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_MOST = 640 * 2**20  # bytes: this eats no machine
_PIECE = 32 * 2**20
_SAMPLES = {"1": 100, "2": 1000, "3": 500}  # of each rung


def crash() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def hang() -> None:
    """Wait for ever with a child that does, which nobody can ask to end."""
    words = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(900)"
    subprocess.Popen([sys.executable, "-c", words], start_new_session=True)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(900)


def eat() -> None:
    eaten: list[bytes] = []
    while len(eaten) * _PIECE < _MOST:
        eaten.append(b"x" * _PIECE)
        time.sleep(0.02)
    time.sleep(900)


def fail() -> None:
    """End with an error and a log, as rockpress does."""
    handle, path = tempfile.mkstemp(prefix="rockpress-", suffix=".log")
    os.write(handle, b"the toolkit's own words")
    print(f"error: it did not build\nhint: build another\nlog: {path}", file=sys.stderr)
    print("log: /etc/rockpress-passwd.log", file=sys.stderr)
    sys.exit(1)


def be_killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def be_killed_at_first() -> None:
    log = Path(os.environ["TOY_LOG"]).read_text().split()
    if log.count(Path.cwd().name) < 3:
        be_killed()


_FAULTS: Mapping[str, Callable[[], None]] = {
    "kl": crash,
    "percentile": hang,
    "gptq-sequential": eat,
    "gptq": be_killed,
    "min-max": fail,
    "gptq-min-max": be_killed_at_first,
}


def true_figures(recipe: Mapping[str, Any]) -> tuple[float, float]:
    """Return ms and retention."""
    pruned = float(
        str(recipe["prune"]).removeprefix("latency=-").removesuffix("%").replace("off", "0")
    )
    is_float = recipe["scheme"] == "float16"
    ms = 10 * (1 - pruned / 100) * (1.4 if is_float else 1)
    lost = (pruned / 100) ** 2 * (0.6 - 0.1 * int(recipe.get("rounds", 1)))
    return ms, 1 - lost - (0 if is_float else 0.02)


def begin(name: str) -> None:
    """Note that something begins, and wait while TOY_HOLD is a file that names its rung."""
    with open(os.environ["TOY_LOG"], "a") as log:
        log.write(f"{name}\n")
    held = Path(os.environ.get("TOY_HOLD", "nowhere"))
    while held.exists() and held.read_text() == rung_of(name):
        time.sleep(0.05)


def rung_of(name: str) -> str:
    """Return the rung of a trial by its folder; that of all samples has no ending."""
    return name.partition(".")[2] or (name if name == "toolkit" else "2")


def main() -> None:
    folder = Path.cwd().name
    begin(folder)
    recipe = tomllib.loads(Path("recipe.toml").read_text())
    time.sleep(float(os.environ.get("TOY_SECONDS", "0")))
    _FAULTS.get(recipe.get("method", ""), lambda: None)()
    ms, true = true_figures(recipe)
    count = _SAMPLES[rung_of(folder)]
    chance = random.Random(folder)
    seen = sum(chance.random() < true for _ in range(count)) / count
    half = 1.96 * (max(seen * (1 - seen), 1 / count) / count) ** 0.5
    report = json.loads(Path(os.environ["TOY_REPORT"]).read_text())
    target = report["targets"][0]
    target["models"][-1]["latency"][0] |= {"ms": ms, "low": ms, "high": ms}
    target["retention"] |= {"value": seen, "low": seen - half, "high": seen + half}
    Path("report.json").write_text(json.dumps(report))


if __name__ == "__main__":
    main()
