"""What each quantized tensor loses, as a table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .show import print_lines, print_table

if TYPE_CHECKING:
    from ..quantize.error_report import TensorError

_TOP = 20  # the worst come first and should not scroll away
_HEADINGS = ("tensor", "op", "kind", "alone dB", "accumulated dB")


def show_errors(errors: Sequence[TensorError]) -> None:
    """Print the worst in a table, and how many are not in it or were not measured."""
    simulated = any(error.simulated_db is not None for error in errors)
    headings = (*_HEADINGS, *(["in the simulator"] if simulated else []), "range")
    rows = [
        (
            error.name,
            error.operator,
            error.kind,
            _db(error.alone_db),
            _db(error.accumulated_db),
            *([_db(error.simulated_db)] if simulated else []),
            f"{error.low:.4g} to {error.high:.4g}",
        )
        for error in errors
    ]
    print_table("error of each quantized tensor, worst alone first", headings, rows[:_TOP])
    if len(rows) > _TOP:
        print_lines([f"{len(rows) - _TOP} more: --json lists them all"])
    missing = sum(error.alone_db is None for error in errors)
    if missing:
        print_lines([f"{missing} tensors were not measured alone: the time was over"])


def _db(value: float | None) -> str:
    if value is None:
        return "-"
    return "infinite" if value == math.inf else f"{value:.1f}"
