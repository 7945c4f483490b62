"""How long a search takes, who works for it, and which of its points is taken."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

from ...core.address_kinds import Address
from ...core.duration_kind import Duration
from ...core.option_kinds import Text, Whole
from ...core.options import Options, opt

_SCHEDULER = re.compile(r"(tcp|tls)://([\w.-]+|\[[0-9A-Fa-f:.]+\]):(\d{1,5})", re.ASCII)


def _read_scheduler(text: str) -> None:
    """Raise ValueError for what is no address of a scheduler."""
    match = _SCHEDULER.fullmatch(text)
    if match is None or not 0 < int(match[3]) < 1 << 16:
        raise ValueError(text)


@dataclass(frozen=True)
class TuneOptions(Options):
    """What ends a search, how much of it is at work at once, and what is picked at its end."""

    heading: ClassVar[str] = "Search"

    trials: int | None = opt(
        None,
        Whole(1, 100_000),
        "End after so many points. The same number gives the same points with any number of "
        "workers.",
        "tune",
        default="32, where no time is given",
    )
    time: float | None = opt(
        None,
        Duration(),
        "End after so long, such as 30m or 2h: no point goes on then.",
        "tune",
        default="no limit",
    )
    trial_time: float | None = opt(
        None,
        Duration(),
        "End a point that takes longer, such as 20m: it has failed then.",
        "tune",
        default="ten times what points take, and half an hour",
    )
    workers: int | None = opt(
        None,
        Whole(1, 1024),
        "How many points to measure at once.",
        "tune",
        default="what memory and cores allow, or one for each worker of the cluster",
    )
    scheduler: str | None = opt(
        None,
        Address(_read_scheduler, "tcp://HOST:PORT or tls://HOST:PORT"),
        "Measure the points by the workers of a dask cluster, whose scheduler is there.",
        "tune",
    )
    batch: int = opt(
        4,
        Whole(1, 1024),
        "How many points are asked for together. Give as many as there are workers, or more; "
        "another number gives other points.",
        "tune",
    )
    optuna_storage: str | None = opt(
        None,
        Text("URL", forms=("sqlite:///study.db",)),
        "Copy the points to a study of Optuna's there, for optuna-dashboard.",
        "tune",
    )
    pick: str | None = opt(
        None,
        Text("RULE", forms=("latency=5ms", "size=4MB", "retention=0.99")),
        "Which point to take: the one that retains most within a latency or a size, or the "
        "cheapest with a retention.",
        "tune",
        default="retention=0.98, or the gate of retention",
    )
