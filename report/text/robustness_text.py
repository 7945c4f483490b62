"""Robustness in lines of text: what is left of the metric on worse images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def robustness_lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The retention on clean images and on each kind of worse ones, in one line.

    >>> rows = [
    ...     {"corruption": "none", "level": None, "retention": 0.99, "agreement": 0.98},
    ...     {"corruption": "noise", "level": 30.0, "retention": 0.91, "agreement": 0.9},
    ... ]
    >>> for row in rows:
    ...     row.update(metric="top1", samples=500)
    >>> robustness_lines(rows)
    ['robustness: retention of top1 on 500 samples, ONNX Runtime: clean 0.990, noise 30 0.910']
    """
    if not rows:
        return []
    key = "agreement" if rows[0]["metric"] is None else "retention"
    what = key if rows[0]["metric"] is None else f"retention of {rows[0]['metric']}"
    shown = ", ".join(f"{_name(row)} {_value(row[key])}" for row in rows)
    return [f"robustness: {what} on {rows[0]['samples']} samples, ONNX Runtime: {shown}"]


def _name(row: Mapping[str, Any]) -> str:
    return "clean" if row["level"] is None else f"{row['corruption']} {row['level']:g}"


def _value(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3f}"
