"""What models took, as the option takes it: a model with its time, or a file of times."""

from __future__ import annotations

from typing import Any

from .option_kinds import Kind, Number, is_number, require

# milliseconds that a model may have taken
_SHORTEST, _LONGEST = 1e-6, 1e9


class MeasuredTimes(Kind):
    """Models with their times in ms, and files of such times; the path may hold an equals sign."""

    metavar = "MODEL=MS|FILE.json"
    wants = "MODEL=MS with a time above 0, such as old.rknn=12.3, or a FILE.json"
    repeats = True

    @property
    def plain_wants(self) -> str:
        return f"a list of {self.wants}"

    def read(self, text: str) -> list[str]:
        return [text]

    def load(self, value: Any) -> tuple[str, ...]:
        words = list(value) if isinstance(value, (list, tuple)) else [value]
        for word in words:
            path, ms = measured_time(require(word, isinstance(word, str)))
            require(word, path and (ms is None or (is_number(ms) and _SHORTEST <= ms <= _LONGEST)))
        return tuple(words)

    def meant(self, text: str) -> str:
        """Return it with a decimal point and without a unit.

        >>> MeasuredTimes().meant("old.rknn=6,3 ms")
        'old.rknn=6.3'
        """
        path, _, time = text.rpartition("=")
        ms = Number(_SHORTEST, _LONGEST, unit="ms").meant(time)
        return f"{path.strip()}={ms}" if path.strip() and ms else ""

    def schema(self) -> dict[str, Any]:
        text = {"type": "string", "pattern": r"(=[0-9.eE+-]+|\.[jJ][sS][oO][nN])$"}
        return {"anyOf": [text, {"type": "array", "items": text}]}


def measured_time(word: str) -> tuple[str, float | None]:
    """Return a path and its time in ms, None for a file of times. Raises ValueError.

    >>> measured_time("a=b.rknn=12.5"), measured_time("runs.json")
    (('a=b.rknn', 12.5), ('runs.json', None))
    """
    if word.lower().endswith(".json"):
        return word, None
    path, _, ms = word.rpartition("=")
    return path, float(ms)
