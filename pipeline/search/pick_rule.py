"""The rule that says which point of the front is taken."""

from __future__ import annotations

import re

from ...core.diagnostics import option
from ...core.errors import OptionError
from .front import Pick

_RULE = re.compile(
    r"(latency|size|retention)\s*=\s*(\d{1,9}(?:\.\d{1,9})?)\s*(ms|mb|%)?", re.IGNORECASE
)
_UNITS = {"latency": "ms", "size": "mb", "retention": "%"}
DEFAULT_RETENTION = 0.98


def read_pick(text: str | None, goal: str, min_retention: float | None) -> Pick:
    """Return what a rule says; without one the cheapest with the least retention asked for.

    ``goal`` is what the search makes small: a limit has to be one of that. Raises OptionError.

    >>> read_pick("latency=5ms", "latency", None), read_pick("retention=99%", "latency", None)
    (Pick(cost=5.0, retention=None), Pick(cost=None, retention=0.99))
    """
    if text is None:
        return Pick(retention=DEFAULT_RETENTION if min_retention is None else min_retention)
    match = _RULE.fullmatch(text.strip())
    if match is None or (match[3] or "").lower() not in ("", _UNITS[match[1].lower()]):
        raise OptionError(
            f"{option('pick', text)} is no rule",
            "give latency=5ms, size=4MB or retention=0.99",
        )
    name, value = match[1].lower(), float(match[2])
    if name == "retention":
        return Pick(retention=_share(text, value, is_percent=match[3] is not None))
    if name != goal:
        raise OptionError(
            f"{option('pick', text)} limits the {name}, and the search is for {goal}",
            f"search with {option('for', name)}, or give a limit of the {goal}",
        )
    if value <= 0:
        raise OptionError(
            f"{option('pick', text)}: no model has a {name} of 0",
            "give latency=5ms or size=4MB, or a retention: retention=0.99",
        )
    return Pick(cost=value * 1e6 if name == "size" else value)


def pick_text(pick: Pick, goal: str) -> str:
    """Return the rule as it is given, its limit in ms or MB."""
    if pick.retention is not None:
        return f"retention={pick.retention:g}"
    cost = pick.cost or 0.0
    return f"size={cost / 1e6:g}MB" if goal == "size" else f"latency={cost:g}ms"


def _share(text: str, value: float, *, is_percent: bool) -> float:
    share = value / 100 if is_percent else value
    if not 0 < share <= 1:
        raise OptionError(
            f"{option('pick', text)} is not between 0 and 1", "98 % is written 0.98 or 98%"
        )
    return share
