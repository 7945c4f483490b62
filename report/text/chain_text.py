"""Where along the chain a result is lost, and what is left of it on worse images, in words."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ...core.results.sample_rows import DriftRow, RobustnessRow

_NAMED = 3  # layers in the line; the document has more


def drift_lines(rows: Sequence[DriftRow]) -> list[str]:
    """Return one line on the forms of the model, one on the layers of the quantized one.

    >>> pruned = DriftRow("pruned", None, None, 0.9, -0.007, None, 19.8, 19.8)
    >>> rknn = DriftRow("rknn", None, None, 0.9, 0.0, None, 19.8, math.inf)
    >>> layer = DriftRow("quantized", "c1", "Conv", None, None, None, 31.2, -8.4)
    >>> for line in drift_lines([pruned, layer, rknn]):
    ...     print(line)
    what each step changed (metric, SQNR): pruned -0.0070, 19.8 dB; rknn +0.0000, equal
    layers that add most noise in int8: c1 (SQNR 39.6 dB before, 31.2 after)
    """
    forms = [row for row in rows if row.layer is None]
    layers = [row for row in rows if row.layer is not None]
    lines = []
    if forms:
        shown = "; ".join(f"{row.stage} {_figures(row)}" for row in forms)
        metric = "SQNR" if all(row.change is None for row in forms) else "metric, SQNR"
        lines.append(f"what each step changed ({metric}): {shown}")
    if layers:
        named = ", ".join(
            f"{row.layer} (SQNR {row.sqnr_db - row.step_db:.1f} dB before, {row.sqnr_db:.1f} after)"
            for row in layers[:_NAMED]
        )
        lines.append(f"layers that add most noise in int8: {named}")
    return lines


def _figures(row: DriftRow) -> str:
    db = row.step_db
    near = f"{db:.1f} dB" if math.isfinite(db) else "equal" if db > 0 else "unlike"
    return near if row.change is None else f"{row.change:+.4f}, {near}"


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
    shown = ", ".join(f"{corruption_name(row)} {_ratio_text(value)}" for row, value in pairs)
    return [f"robustness: {figure} on {samples} samples, ONNX Runtime: {shown}"]


def corruption_name(row: RobustnessRow) -> str:
    """Return what was done to the images, and how much of it."""
    return "clean" if row.level is None else f"{row.corruption} {row.level:g}"


def _ratio_text(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3f}"
