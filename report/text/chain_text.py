"""Where along the chain a result is lost, and what is left of it on worse images, in words."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ...core.percents import percent_range, percent_text
from ...core.results.sample_rows import DriftRow, RobustnessRow

_NAMED = 3  # layers in the line; the document has more


def drift_lines(rows: Sequence[DriftRow]) -> list[str]:
    """Return one line on the forms of the model, one on the layers of the quantized one.

    >>> pruned = DriftRow("pruned", None, None, 0.9, -0.007, None, 19.8, 19.8)
    >>> rknn = DriftRow("rknn", None, None, 0.9, 0.0, None, 19.8, math.inf)
    >>> layer = DriftRow("quantized", "c1", "Conv", None, None, None, 31.2, -8.4)
    >>> for line in drift_lines([pruned, layer, rknn]):
    ...     print(line)
    what each step changed (metric, SQNR to the form before): pruned -0.0070, 19.8 dB; rknn +0.0000, equal
    layers that add most noise in int8: c1 (SQNR to float 39.6 dB before, 31.2 after)
    """  # noqa: E501
    forms = [row for row in rows if row.layer is None]
    layers = [row for row in rows if row.layer is not None]
    lines = []
    if forms:
        shown = "; ".join(f"{row.stage} {_figures(row)}" for row in forms)
        metric = "" if all(row.change is None for row in forms) else "metric, "
        lines.append(f"what each step changed ({metric}SQNR to the form before): {shown}")
    if layers:
        named = ", ".join(
            f"{row.layer} (SQNR to float {row.sqnr_db - row.step_db:.1f} dB before, "
            f"{row.sqnr_db:.1f} after)"
            for row in layers[:_NAMED]
        )
        lines.append(f"layers that add most noise in int8: {named}")
    return lines


def _figures(row: DriftRow) -> str:
    db = row.step_db
    near = f"{db:.1f} dB" if math.isfinite(db) else "equal" if db > 0 else "unlike"
    return near if row.change is None else f"{row.change:+.4f}, {near}"


def robustness_lines(rows: Sequence[RobustnessRow]) -> list[str]:
    """Return both models' metric and the retention on clean images, and a line a kind of worse.

    >>> both = {"agreement": 0.98, "sqnr_db": 20.0, "samples": 500}
    >>> clean = RobustnessRow("none", None, "top1", 0.93, 0.9, 0.968, 0.95, 0.98, **both)
    >>> noise = RobustnessRow("noise", 30.0, "top1", 0.4, 0.436, 1.09, 1.01, 1.15, **both)
    >>> for line in robustness_lines([clean, noise]):
    ...     print(line)
    robustness: top1 of original and result, retention, on 500 samples, ONNX Runtime: clean 0.9300 and 0.9000, 96.8% (95.0 to 98.0%)
    on worse images: noise 30 0.4000 and 0.4360, 109.0% (101.0 to 115.0%)
    """  # noqa: E501
    if not rows:
        return []
    metric, samples = rows[0].metric, rows[0].samples
    figure = "agreement" if metric is None else f"{metric} of original and result, retention,"
    clean, *worse = (f"{corruption_name(row)} {_values(row, rows[0])}" for row in rows)
    kinds: dict[str, list[str]] = {}
    for row, text in zip(rows[1:], worse, strict=True):
        kinds.setdefault(row.corruption, []).append(text)
    lines = [f"on worse images: {'; '.join(texts)}" for texts in kinds.values()]
    return [f"robustness: {figure} on {samples} samples, ONNX Runtime: {clean}", *lines]


def _values(row: RobustnessRow, clean: RobustnessRow) -> str:
    """Return both values and the retention, without labels the agreement, or why there is none."""
    if row.metric is None:
        if row.agreement is not None:
            return percent_text(row.agreement)
        was_known = clean.metric is not None or clean.agreement is not None
        return "unknown" + " (a model gives what is not finite)" * was_known
    pair = f"{value_text(row.baseline)} and {value_text(row.candidate)}"
    if row.retention is None:
        return f"{pair}, no retention: a model's is not above 0"
    if row.low is None or row.high is None:
        return f"{pair}, {percent_text(row.retention)}"
    return f"{pair}, {percent_text(row.retention)} ({percent_range(row.low, row.high)})"


def value_text(value: float | None) -> str:
    """Return a metric's value."""
    return "unknown" if value is None else f"{value:.4f}"


def corruption_name(row: RobustnessRow) -> str:
    """Return what was done to the images, and how much of it."""
    return "clean" if row.level is None else f"{row.corruption} {row.level:g}"
