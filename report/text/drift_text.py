"""Drift in lines of text: how far each form is from the one before, and which layers lose most."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

_NAMED = 3  # layers in the line; the document has more


def drift_lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """One line on the forms of the model, one on the layers of the quantized one.

    >>> pruned = {"stage": "pruned", "layer": None, "change": -0.007, "step_db": 19.8}
    >>> rknn = {"stage": "rknn", "layer": None, "change": 0.0, "step_db": math.inf}
    >>> layer = {"stage": "quantized", "layer": "c1", "sqnr_db": 31.2, "step_db": -8.4}
    >>> for line in drift_lines([pruned, layer, rknn]):
    ...     print(line)
    drift, each against the one before: pruned -0.0070, 19.8 dB; rknn +0.0000, equal
    layers that lose most in int8: c1 -8.4 dB (to 31.2)
    """
    forms = [row for row in rows if row["layer"] is None]
    layers = [row for row in rows if row["layer"] is not None]
    lines = []
    if forms:
        shown = "; ".join(f"{row['stage']} {_figures(row)}" for row in forms)
        lines.append(f"drift, each against the one before: {shown}")
    if layers:
        named = ", ".join(
            f"{row['layer']} {row['step_db']:.1f} dB (to {row['sqnr_db']:.1f})"
            for row in layers[:_NAMED]
        )
        lines.append(f"layers that lose most in int8: {named}")
    return lines


def _figures(row: Mapping[str, Any]) -> str:
    db = row["step_db"]
    near = f"{db:.1f} dB" if math.isfinite(db) else "equal" if db > 0 else "unlike"
    return near if row["change"] is None else f"{row['change']:+.4f}, {near}"
