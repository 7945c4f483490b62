"""What was measured on a board as one versioned JSON document, which can be sent to others."""

from __future__ import annotations

from typing import Any

from ...core.results.bench_figures import BoardBench
from .document import plain

SCHEMA = 1


def bench_document(bench: BoardBench) -> dict[str, Any]:
    """Return it as plain values."""
    document = {"schema": SCHEMA, **plain(bench)}
    return {**document, "warnings": [plain(warning.rendered()) for warning in bench.warnings]}
