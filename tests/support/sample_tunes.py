"""Reports of searches of every kind, and a program that shows them all."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from rockpress.cli.phrases import command_phrase
from rockpress.cli.tune_display import show_tune
from rockpress.core.diagnostics import speaking
from rockpress.core.results.report import ToolVersion
from rockpress.core.results.tune_report import (
    RetentionRange,
    Setting,
    TunePoint,
    TuneReference,
    TuneReport,
)

NEXT_REPORT = "\f"
_SPREAD = 0.012


def point(
    number: int,
    ms: float,
    kept: float | None,
    unseen: float | None = None,
    **settings: Setting,
) -> TunePoint:
    """Return a point that was measured on all samples, or predicted alone."""
    figures = {
        **{"ms": ms, "ms_low": 0.8 * ms, "ms_high": 1.25 * ms},
        **{"bytes": 1.6e6 * ms, "agreement": 0.97, "sqnr_db": 24.5},
    }
    return TunePoint(
        number,
        {"scheme": "w8a8", "method": "auto", "mixed": "auto", "prune": None, **settings},
        "predicted" if kept is None else "all samples",
        ms,
        None if kept is None else RetentionRange(kept, kept - _SPREAD, kept + _SPREAD),
        None if unseen is None else RetentionRange(unseen, unseen - 0.01, unseen + 0.01),
        {} if kept is None else figures,
        set_aside="another costs no more and surely retains more" if kept is None else "",
        folder=None if unseen is None else f"points/{number:016x}",
    )


POINTS = (
    point(0, 0.24, 0.998),
    point(1, 0.25, 0.99, prune="latency=-10%"),
    point(2, 0.19, 0.966, 0.983, prune="latency=-20%"),
    point(3, 0.17, 0.911, 0.924, prune="latency=-30%", rounds=2),
    point(4, 0.27, 1.0, 1.0, scheme="float16"),
    point(5, 0.23, 0.999, 0.995, method="mse"),
    point(6, 0.31, None, mixed="latency=+20%"),
    replace(
        point(7, 0.2, None, prune="latency=-30%", method="mse"),
        set_aside="",
        failure="the build was ended by signal 11 (segmentation fault)",
    ),
)
REFERENCES = (
    TuneReference(
        "float-model",
        retention=RetentionRange(1, 1, 1),
        unseen=RetentionRange(1, 1, 1),
        figures={"bytes": 811_520.0, "metric": 0.912, "unseen_metric": 0.9071},
    ),
    TuneReference(
        "float16", 0.27, POINTS[4].retention, POINTS[4].unseen, figures=POINTS[4].figures
    ),
    TuneReference(
        "toolkit",
        0.24,
        RetentionRange(0.987, 0.979, 0.995),
        RetentionRange(0.984, 0.972, 0.996),
        {"ms": 0.24, "ms_low": 0.19, "ms_high": 0.3, "bytes": 404_807.0, "agreement": 0.981},
    ),
)
FOUND = TuneReport(
    ToolVersion("rockpress", "0.1.0"),
    ToolVersion("rknn-toolkit2", "2.5.0"),
    model="models/m.onnx",
    target="rk3588",
    goal="latency",
    measures="top1",
    points=POINTS,
    front=(3, 2, 5, 4),
    chosen=5,
    pick="retention=0.98",
    seconds=756.9,
    is_final=True,
    ended_by="trials",
    references=REFERENCES,
)
TUNES = {
    "tune": FOUND,
    "tune-none": replace(FOUND, chosen=None, pick="retention=0.999"),
    "tune-doubt": replace(
        FOUND,
        chosen=2,
        pick="retention=0.95",
        points=(
            *POINTS[:2],
            replace(POINTS[2], unseen=RetentionRange(0.94, 0.92, 0.96)),
            *POINTS[3:],
        ),
    ),
    "tune-size": replace(
        FOUND,
        goal="size",
        measures="agreement",
        points=tuple(replace(each, cost=1.6e6 * (each.cost or 0), unseen=None) for each in POINTS),
        chosen=3,
        pick="size=0.3MB",
        ended_by="space",
        references=(
            TuneReference(
                "float-model", 811_520.0, RetentionRange(1, 1, 1), figures={"bytes": 811_520.0}
            ),
            TuneReference("float16", failure="the build ran out of memory"),
            replace(REFERENCES[2], cost=404_807.0, unseen=None),
        ),
    ),
    "tune-empty": replace(
        FOUND,
        points=POINTS[7:],
        front=(),
        chosen=None,
        is_final=False,
        ended_by="",
        references=(),
    ),
}


def show_all() -> None:
    """Show all of them on stdout, a form feed after each."""
    for shown in TUNES.values():
        with speaking(command_phrase):
            show_tune(shown, folder=Path("build/tune"))
        sys.stdout.write(NEXT_REPORT)


if __name__ == "__main__":
    show_all()
