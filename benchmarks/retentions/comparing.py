"""rockpress int8 beside each peer on each model, Holm's correction over all pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .methods import CHIP, FLOAT, INT8, PEERS
from .rows import Row
from .significance import Gap, gap, holm

_LEVEL = 0.05


@dataclass(frozen=True)
class Pair:
    """One comparison; ``corrected`` is the p-value after Holm over all of them."""

    model: str
    peer: str
    gap: Gap
    corrected: float

    @property
    def is_sure(self) -> bool:
        """Return whether the difference is significant."""
        return self.corrected < _LEVEL


def pairs_of(models: Sequence[str], rows: Mapping[tuple[str, str, str], Row]) -> list[Pair]:
    """Return a pair for each peer whose row is there, both measured at the same place."""
    gaps = []
    for model in models:
        for peer, place in PEERS.items():
            ours, theirs = (rows.get((model, name, place)) for name in (INT8, peer))
            if ours and theirs and not ours.error and not theirs.error:
                gaps.append((model, peer, gap(ours, theirs, rows[model, FLOAT, CHIP])))
    corrected = holm([each.p for _, _, each in gaps])
    return [Pair(*each, p) for each, p in zip(gaps, corrected, strict=True)]


def told_apart(pairs: Sequence[Pair]) -> str:
    """Say in how many pairs rockpress is surely better, and in which it is surely worse."""
    sure = [pair for pair in pairs if pair.is_sure]
    worse = [f"{pair.model} ({pair.peer})" for pair in sure if pair.gap.figure.value < 0]
    better = [f"{pair.model} ({pair.peer})" for pair in sure if pair.gap.figure.value > 0]
    return (
        f"Of {len(pairs)} comparisons of rockpress int8 with a peer (95 %, Holm over all): "
        f"**worse in {len(worse)}**: {', '.join(worse) or 'none'}. "
        f"Better in {len(better)}: {', '.join(better) or 'none'}. "
        f"The samples cannot tell the other {len(pairs) - len(sure)} apart."
    )
