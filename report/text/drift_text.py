"""Drift in lines of text: how far each form is from the one before, and which layers lose most."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ...core.results.sample_rows import DriftRow

_NAMED = 3  # layers in the line; the document has more


def drift_lines(rows: Sequence[DriftRow]) -> list[str]:
    """Return one line on the forms of the model, one on the layers of the quantized one.

    >>> pruned = DriftRow("pruned", None, None, 0.9, -0.007, None, 19.8, 19.8)
    >>> rknn = DriftRow("rknn", None, None, 0.9, 0.0, None, 19.8, math.inf)
    >>> layer = DriftRow("quantized", "c1", "Conv", None, None, None, 31.2, -8.4)
    >>> for line in drift_lines([pruned, layer, rknn]):
    ...     print(line)
    drift, each against the one before: pruned -0.0070, 19.8 dB; rknn +0.0000, equal
    layers that lose most in int8: c1 -8.4 dB (to 31.2)
    """
    forms = [row for row in rows if row.layer is None]
    layers = [row for row in rows if row.layer is not None]
    lines = []
    if forms:
        shown = "; ".join(f"{row.stage} {_figures(row)}" for row in forms)
        lines.append(f"drift, each against the one before: {shown}")
    if layers:
        named = ", ".join(
            f"{row.layer} {row.step_db:.1f} dB (to {row.sqnr_db:.1f})" for row in layers[:_NAMED]
        )
        lines.append(f"layers that lose most in int8: {named}")
    return lines


def _figures(row: DriftRow) -> str:
    db = row.step_db
    near = f"{db:.1f} dB" if math.isfinite(db) else "equal" if db > 0 else "unlike"
    return near if row.change is None else f"{row.change:+.4f}, {near}"
