"""The results as Markdown: one row for each conversion, and what follows from them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from .measure import Case, Outcome

Results = Mapping[str, Outcome]

_HEAD = (
    "model",
    "form",
    "by",
    "toolkit",
    "status",
    "s",
    "CPU s",
    "peak MB",
    "size kB",
    "kcycles",
    "warnings",
    "SQNR dB",
)


def print_tables(cases: Sequence[Case], results: Results) -> None:
    """Print every conversion, then the count of each way, then what rockpress lacks and adds."""
    print(f"| {' | '.join(_HEAD)} |\n|{'---|' * len(_HEAD)}")
    for case in cases:
        print(f"| {' | '.join(_row(case, results[case.key]))} |")
    print("\n| by | toolkit | form | converted | exact to 20 dB | median SQNR dB |")
    print("|---|---|---|---|---|---|")
    for line in _sums(cases, results):
        print(line)
    for title, listed in (
        ("converted by the plain toolkit and not by rockpress", regressions(cases, results)),
        ("converted by rockpress and not by the plain toolkit", gains(cases, results)),
        ("refused by rockpress, NaN from the plain toolkit", refusals(cases, results)),
    ):
        print(f"\n{title}: {', '.join(case.key for case in listed) or 'none'}")


def regressions(cases: Sequence[Case], results: Results) -> list[Case]:
    """Return the conversions by rockpress that failed where the same toolkit alone succeeded.

    A ``.rknn`` that computes NaN is no success.
    """
    return [
        case
        for case, plain in _pairs(cases, results)
        if plain.is_converted and not plain.is_nan and not results[case.key].is_converted
    ]


def gains(cases: Sequence[Case], results: Results) -> list[Case]:
    """Return the conversions by rockpress that succeeded where the same toolkit alone failed."""
    return [
        case
        for case, plain in _pairs(cases, results)
        if not plain.is_converted and results[case.key].is_converted
    ]


def refusals(cases: Sequence[Case], results: Results) -> list[Case]:
    """Return the conversions that rockpress refused where the toolkit's file computes NaN."""
    return [
        case
        for case, plain in _pairs(cases, results)
        if plain.is_nan and not results[case.key].is_converted
    ]


def _pairs(cases: Sequence[Case], results: Results) -> list[tuple[Case, Outcome]]:
    """Return the conversions by rockpress, each with what the same toolkit did alone."""
    ours = [case for case in cases if case.tool == "rockpress"]
    plain = {case.key: replace(case, tool="plain").key for case in ours}
    return [(case, results[plain[case.key]]) for case in ours if plain[case.key] in results]


def _row(case: Case, outcome: Outcome) -> list[str]:
    done = outcome.is_converted
    status = outcome.status + (f" ({outcome.way})" if outcome.way else "")
    return [
        case.model,
        case.precision,
        case.tool,
        case.toolkit,
        status,
        f"{outcome.seconds:.1f}",
        f"{outcome.cpu_seconds:.1f}",
        f"{outcome.peak_mb:.0f}",
        f"{outcome.size / 1000:.0f}" if done else "",
        f"{outcome.cycles / 1000:.0f}" if done else "",
        str(outcome.warning_count) if done else "",
        "" if outcome.sqnr_db is None else f"{outcome.sqnr_db:.1f}",
    ]


def _sums(cases: Sequence[Case], results: Results) -> list[str]:
    all_series = dict.fromkeys((case.tool, case.toolkit, case.precision) for case in cases)
    return [_sum(series, cases, results) for series in sorted(all_series)]


def _sum(series: tuple[str, str, str], cases: Sequence[Case], results: Results) -> str:
    own = [
        results[case.key] for case in cases if (case.tool, case.toolkit, case.precision) == series
    ]
    noise = sorted(_db(outcome) for outcome in own if outcome.is_converted)
    middle = f"{noise[len(noise) // 2]:.1f}" if noise else ""
    exact = sum(value >= 20 for value in noise)
    count = f"{len(noise)} of {len(own)}"
    return f"| {series[0]} | {series[1]} | {series[2]} | {count} | {exact} | {middle} |"


def _db(outcome: Outcome) -> float:
    """Return the SQNR in dB, minus infinity where nothing could be simulated or NaN came out."""
    value = outcome.sqnr_db
    return -math.inf if value is None or math.isnan(value) else value
