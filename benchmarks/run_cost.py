"""What a whole ``rockpress run`` takes beside the toolkit's own quantizer, on EfficientNet-Lite0.

Both quantize the float model to int8 with 100 photographs and build it for rk3588; rockpress also
compares candidates, and checks what it built in the simulator. They take turns, so that a machine
that is busy slows both; CPU seconds are user and system time of all their processes, and one thread
of OpenMP each. The order turns every round.

    python benchmarks/run_cost.py --rounds 5
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT))

from benchmarks.quantizations.methods import LITE0, Cell  # noqa: E402
from benchmarks.quantizations.methods import METHODS as QUANTIZATIONS  # noqa: E402
from benchmarks.quantizations.quantizing import Cost, QuantizeSetup, watched  # noqa: E402
from benchmarks.quantizations.running import fixed_model, run_toolkit  # noqa: E402
from benchmarks.retentions.methods import CHIP, NORMAL  # noqa: E402
from benchmarks.retentions.subjects import SUBJECTS  # noqa: E402

_CALIBRATION = 100
_RUN = "rockpress run"


def main() -> None:
    """Print the figures of every round, then a table of the medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    work = ROOT / "build" / "retention"
    parser.add_argument("-o", "--work", type=Path, default=work, help="folder of all other files")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each that are counted")
    parser.add_argument("--timeout", type=float, default=2400, help="seconds for one process")
    args = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    setup = QuantizeSetup(args.work, None, args.timeout)
    subject = next(subject for subject in SUBJECTS if subject.name == LITE0)
    for role, count in (("calib", _CALIBRATION), ("test", 1)):
        subject.samples(role, count, setup.work)
    costs: dict[str, list[Cost]] = {NORMAL: [], _RUN: []}
    for number in range(args.rounds):
        for name in list(costs)[:: -1 if number % 2 else 1]:
            cost = _toolkit_cost(setup) if name == NORMAL else _run_cost(setup)
            costs[name].append(cost)
            figures = f"{cost.seconds:.1f} s, {cost.cpu_seconds:.1f} CPU s, {cost.peak_mb:.0f} MB"
            print(f"round {number + 1}, {name}: {figures}", file=sys.stderr, flush=True)
    print(table_of(costs))


def table_of(costs: dict[str, list[Cost]]) -> str:
    """Return the medians as Markdown, the range of the CPU seconds behind them."""
    lines = ["| | s | CPU s | peak MB |", "|---|---|---|---|"]
    for name, own in costs.items():
        seconds, cpu, peak = (
            [getattr(cost, field) for cost in own]
            for field in ("seconds", "cpu_seconds", "peak_mb")
        )
        middle = f"{statistics.median(cpu):.1f} ({min(cpu):.1f} to {max(cpu):.1f})"
        whole = f"{statistics.median(seconds):.1f} | {middle} | {max(peak):.0f}"
        lines.append(f"| {name} | {whole} |")
    return "\n".join(lines)


def _toolkit_cost(setup: QuantizeSetup) -> Cost:
    """Return what config, load, build and export take, the start of Python with them."""
    normal = next(method for method in QUANTIZATIONS if method.name == NORMAL)
    cell = Cell(LITE0, normal, CHIP, _CALIBRATION, 1)
    with tempfile.TemporaryDirectory(prefix="cost-") as name:
        run = run_toolkit(cell, fixed_model(LITE0, setup.work), setup, Path(name))
    if run.cost is None or run.error:
        raise SystemExit(f"the toolkit failed: {run.error}")
    return run.cost


def _run_cost(setup: QuantizeSetup) -> Cost:
    """Return what a run takes that reads nothing out of the cache."""
    file = fixed_model(LITE0, setup.work)
    listing = (setup.work / "samples" / f"{LITE0}-calib-{_CALIBRATION}" / "dataset.txt").resolve()
    options = ["--target", CHIP, "--calib", str(listing), "--calib-count", str(_CALIBRATION)]
    with tempfile.TemporaryDirectory(prefix="cost-") as name:
        words = ["run", str(file), *options, "--family", "off", "--force", "-o", f"{name}/build"]
        command = [sys.executable, "-m", "rockpress", *words]
        cost = watched(command, Path(name), setup.timeout)
        if cost.code != 0:
            raise SystemExit((Path(name) / "log.txt").read_text(errors="replace"))
    return cost


if __name__ == "__main__":
    main()
