"""A time span as people write it."""

from __future__ import annotations

import re
from typing import Any

from .option_kinds import Kind, is_number, require

_UNITS = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_SPAN = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)\s*(s|min|m|h|d)?")
_LONGEST = 1e9  # seconds


class Duration(Kind):
    """Seconds, or a number with s, m, h or d behind it."""

    metavar = "TIME"
    wants = "a time such as 90s, 30m or 2h"

    def read(self, text: str) -> float:
        """Return the seconds of a text. Raises ValueError.

        >>> Duration().read("30m"), Duration().read("1.5h"), Duration().read("90")
        (1800.0, 5400.0, 90.0)
        """
        match = _SPAN.fullmatch(text.strip().lower())
        if match is None:
            raise ValueError(text)
        return float(match[1]) * _UNITS[match[2] or "s"]

    def load(self, value: Any) -> float:
        """Return the seconds of a number or a text. Raises ValueError."""
        seconds = self.read(value) if isinstance(value, str) else value
        return float(require(seconds, is_number(seconds) and 0 < seconds <= _LONGEST))

    def schema(self) -> dict[str, Any]:
        """Return the JSON schema of what a recipe may hold."""
        text = {"type": "string", "pattern": r"^\s*\d+(\.\d+)?\s*([smhdSMHD]|[mM][iI][nN])?\s*$"}
        return {"anyOf": [{"type": "number", "exclusiveMinimum": 0}, text]}
