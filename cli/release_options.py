"""The options that compare a run with an earlier one, see options.py."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, NamedTuple

import typer
from typer import Option

_NAMES = ("size", "cycles", "latency", "retention")


class Regression(NamedTuple):
    """A figure, and by what part of its old value it may be worse."""

    name: str
    limit: float


def parse_regression(text: str) -> Regression:
    """Read a figure and a limit in per cent.

    >>> parse_regression("cycles=2.5%")
    Regression(name='cycles', limit=0.025)
    """
    match = re.fullmatch(rf"\s*({'|'.join(_NAMES)})=(\d{{1,4}}(?:\.\d{{1,6}})?)%\s*", text)
    if match is None:
        raise typer.BadParameter(
            f"{text!r} is not NAME=N%, such as cycles=2%; a name is one of {', '.join(_NAMES)}"
        )
    return Regression(match[1], float(match[2]) / 100)


def limits_of(given: list[Regression] | None) -> dict[str, float] | None:
    """The limits by name; of several for one figure the last counts."""
    return None if given is None else dict(given)


LastReport = Annotated[
    Path | None,
    Option(
        "--baseline",
        metavar="REPORT.json",
        help="Report of an earlier run, such as the last release: show what changed since.",
    ),
]
MaxRegression = Annotated[
    list[Regression] | None,
    Option(
        "--max-regression",
        metavar="NAME=N%",
        parser=parse_regression,
        help="Gate: how much worse than in --baseline: size, cycles, latency or retention. "
        "Exit 4 above. Repeatable.",
    ),
]
