"""How long a model is measured on a board, and what beside its time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ...core.option_kinds import Flag, Whole
from ...core.options import Options, opt


@dataclass(frozen=True)
class BenchOptions(Options):
    """What ``bench`` measures on a board."""

    heading: ClassVar[str] = "Result"

    runs: int = opt(
        100,
        Whole(1, 1000),
        "Runs of a round. There are 3 rounds, or up to 10 until 3 agree.",
        "bench",
    )
    drift_runs: int = opt(
        1000,
        Whole(0, 1000000),
        "Runs over which memory is watched for growth, 0 for none.",
        "bench",
    )
    set_clocks: bool = opt(
        False,
        Flag(),
        "Set the board's clocks to their maximum meanwhile, which takes root there.",
        "bench",
    )
