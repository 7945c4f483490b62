"""The graph of what the compiler built: which operators became one layer, and what feeds what."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class GraphNode:
    """What of the model runs as one layer, and where its values come from.

    ``op`` is the layer's name after fusion, Input and Output at the ends. ``operators`` are the
    model's own, such as "Conv /stem/Conv". ``inputs`` are the places of the nodes that it reads,
    ``layers`` those of its rows in the layer table. ``sqnr_db`` is that of its result, with all
    quantized, where that was measured and there is any noise.
    """

    name: str
    op: str
    operators: tuple[str, ...] = ()
    inputs: tuple[int, ...] = ()
    layers: tuple[int, ...] = ()
    sqnr_db: float | None = None
