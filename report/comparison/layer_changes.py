"""The layers of two builds of one network, joined by their names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ...core.results.layer_rows import LayerRow
from .compared_result import LayerChange

_SHARED = 0.5  # of the names of the shorter table: below it the two are of different networks
_SAME_MS = 0.0005  # what would be shown as 0.000 ms


def layer_changes(
    before: Sequence[LayerRow], after: Sequence[LayerRow]
) -> tuple[LayerChange, ...] | None:
    """Return the layers whose time, cycles or number format changed, the dearest change first.

    None where the tables share too few names to be of one network.
    """
    first, second = _by_name(before), _by_name(after)
    shared = first.keys() & second.keys()
    if not shared or len(shared) < _SHARED * min(len(first), len(second)):
        return None
    changes = [
        _change(name, first.get(name, ()), second.get(name, ()))
        for name in dict.fromkeys([*first, *second])
    ]
    return tuple(sorted(filter(_differs, changes), key=_cost))


def _by_name(layers: Iterable[LayerRow]) -> dict[str, list[LayerRow]]:
    """Return the layers by name, those of one name together: a layer may be built in parts."""
    rows: dict[str, list[LayerRow]] = {}
    for layer in layers:
        # what the quantized form adds to the name of a tensor that is left in float
        rows.setdefault(layer.name.replace(".float", ""), []).append(layer)
    return rows


def _change(name: str, before: Sequence[LayerRow], after: Sequence[LayerRow]) -> LayerChange:
    return LayerChange(
        name,
        (after or before)[0].op,
        *(_dtype(before), _dtype(after)),
        *(_ms(before), _ms(after)),
        *(_cycles(before), _cycles(after)),
    )


def _dtype(layers: Sequence[LayerRow]) -> str | None:
    return "+".join(dict.fromkeys(layer.dtype.lower() for layer in layers)) or None


def _ms(layers: Sequence[LayerRow]) -> float | None:
    times = [layer.ms for layer in layers if layer.ms is not None]
    return sum(times) if times else None


def _cycles(layers: Sequence[LayerRow]) -> int | None:
    return sum(layer.total_cycles for layer in layers) if layers else None


def _differs(change: LayerChange) -> bool:
    is_other = change.dtype_before != change.dtype_after
    return (
        is_other or abs(change.ms or 0.0) >= _SAME_MS or (change.ms is None and change.cycles != 0)
    )


def _cost(change: LayerChange) -> tuple[float, int]:
    return -abs(change.ms or 0.0), -abs(change.cycles)
