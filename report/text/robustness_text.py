"""Robustness in lines of text: what is left of the metric on worse images."""

from __future__ import annotations

from collections.abc import Sequence

from ...core.results.sample_rows import RobustnessRow


def robustness_lines(rows: Sequence[RobustnessRow]) -> list[str]:
    """Return the retention on clean images and on each kind of worse ones, in one line.

    >>> both = {"metric": "top1", "baseline": 0.9, "candidate": 0.89, "low": 0.88, "high": 1.0}
    >>> both.update(agreement=0.98, sqnr_db=20.0, samples=500)
    >>> clean = RobustnessRow("none", None, retention=0.99, **both)
    >>> robustness_lines([clean, RobustnessRow("noise", 30.0, retention=0.91, **both)])
    ['robustness: retention of top1 on 500 samples, ONNX Runtime: clean 0.990, noise 30 0.910']
    """
    if not rows:
        return []
    metric, samples = rows[0].metric, rows[0].samples
    if metric is None:
        figure, values = "agreement", [row.agreement for row in rows]
    else:
        figure, values = f"retention of {metric}", [row.retention for row in rows]
    pairs = zip(rows, values, strict=True)
    shown = ", ".join(f"{corruption_name(row)} {_text(value)}" for row, value in pairs)
    return [f"robustness: {figure} on {samples} samples, ONNX Runtime: {shown}"]


def corruption_name(row: RobustnessRow) -> str:
    """Return what was done to the images, and how much of it."""
    return "clean" if row.level is None else f"{row.corruption} {row.level:g}"


def _text(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3f}"
