"""How many more frames as many contexts as cores do than one. From the repository's root:

python -m benchmarks.latency.contexts_fit
"""

from __future__ import annotations

import sys
from math import exp, log
from statistics import median

from rockpress.convert.chips.targets import find_target
from rockpress.convert.latency.throughput import GAIN_BAND, gain

from .application_fit import read_rows


def gains(chip: str) -> dict[str, float]:
    """Return the frames of all cores over those of one, of the networks that count."""
    return {
        row["model"]: float(row["fps"]) / float(row["fps_of_one"])
        for row in read_rows("contexts.csv")
        if row["chip"] == chip and row["counts"] == "yes"
    }


def main() -> int:
    """Print it; exit with 1 when the shipped gain is another than the median."""
    apart = 0.0
    for chip in ("rk3588", "rk3576"):
        for model, factor in gains(chip).items():
            print(f"  {chip}  {model:22}{factor:6.2f}")
        middle = median(gains(chip).values())
        worst = exp(max(abs(log(factor / middle)) for factor in gains(chip).values()))
        shipped = gain(find_target(chip), find_target(chip).cores)
        print(f"{chip}: median {middle:.2f}, shipped {shipped}; worst off by {worst:.3f}")
        apart = max(apart, abs(shipped / middle - 1))
    print(f"shipped band: a factor of {GAIN_BAND}")
    return int(apart > 0.005)


if __name__ == "__main__":
    sys.exit(main())
