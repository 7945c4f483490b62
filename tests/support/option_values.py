"""Values for options: others than they have, made from what they take."""

from __future__ import annotations

import math
from typing import Any

from rockpress.core.address_kinds import Address
from rockpress.core.duration_kind import Duration
from rockpress.core.list_kinds import (
    Choices,
    Names,
    Numbers,
    PlainValues,
    Settings,
    Shares,
    Values,
)
from rockpress.core.measured_kinds import MeasuredTimes
from rockpress.core.option_kinds import Choice, File, Flag, Kind, Number, Text, Whole
from rockpress.core.options import Option
from rockpress.core.shape_kinds import Shapes, Size

# of options whose values have to be known names
KNOWN = {"target": ["rk3576"], "metric": "top5"}


def other_value(described: Option, value: Any) -> Any:
    """Return a plain value that the option takes, and that is not ``value``."""
    kind = described.kind
    if described.name in KNOWN:
        return KNOWN[described.name]
    if isinstance(kind, Choices):
        return [kind.words[0]]
    if isinstance(kind, Choice):
        return next(word for word in kind.words if word not in (value, "off"))
    if isinstance(kind, Flag):
        return not value
    if isinstance(kind, Whole):
        return kind.high if kind.high < math.inf else (value or kind.low) + 3
    if isinstance(kind, Number):
        return _other_number(kind, value)
    others: dict[type[Kind], Any] = {
        Text: "cycles=-33%",
        File: "/other/file",
        Numbers: [3.5, 4.5, 5.5],
        Names: ["other"],
        MeasuredTimes: ["/other/old.rknn=2.5"],
        Size: [48, 96],
        Shapes: {"other": [1, 2]},
        Settings: {"other": "3"},
        PlainValues: {"other": 3},
        Shares: {"cycles": 0.25},
        Values: {"other": 2.5},
        Address: "tcp://other:1" if described.name == "scheduler" else "ssh://other",
        Duration: "45m",
    }
    return others[type(kind)]


def _other_number(kind: Number, value: Any) -> float:
    """Return one of the first two numbers of the kind, which are a quarter and a half above."""
    step = min(1.0, kind.high - kind.low)
    first, second = kind.low + step / 4, kind.low + step / 2
    return first if value != first else second
