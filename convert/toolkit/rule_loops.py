"""Optimisation rules of the toolkit that undo each other's work without end, found in its log."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

_APPLIED = re.compile(rb"(\w+): remove node = .*")
_MOVES = "swap_"  # such rules only move an operator: a model can be built without them


class RuleLoops:
    """Reads a log while it grows. Each rule that the toolkit applies is a line there.

    Seen with toolkit 2.5.0 on attention: one rule swaps a Reshape and a Transpose, the next brings
    the Transpose back to four axes, a third joins the Reshapes, and the first starts again.
    """

    # The same rule on the same nodes: once in builds that end (five models), else without end.
    MOST = 8

    def __init__(self, log: Path) -> None:
        self._log = log
        self._read = 0
        self._applied: Counter[bytes] = Counter()
        self.rule = ""  # one that goes round in a circle, once some do: the best to do without

    def is_found(self) -> bool:
        """Whether rules go round in a circle by now."""
        with self._log.open("rb") as log:
            log.seek(self._read)
            whole = log.read().rpartition(b"\n")[0]
        self._read += len(whole)
        self._applied.update(match[0] for match in _APPLIED.finditer(whole))
        if max(self._applied.values(), default=0) <= self.MOST:
            return False
        circling = [line for line, times in self._applied.items() if 2 * times > self.MOST]
        rules = [line.partition(b":")[0].decode() for line in circling]
        self.rule = min(rules, key=lambda rule: not rule.startswith(_MOVES))
        return True
