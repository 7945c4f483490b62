"""What the gates that are always on say of a model that a single command has made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...accuracy.gates import standing_gates
from ...core.results.part_figures import PartFigure
from ...core.results.report import Judgement

if TYPE_CHECKING:
    from ...convert.convert import Conversion


def judged(parts: tuple[PartFigure, ...]) -> Judgement:
    """Return what the gates that are always on say of the parts of the outputs."""
    return Judgement(standing_gates(parts), parts)


def judged_conversion(conversion: Conversion) -> Judgement:
    """Return what they say of a conversion, on the few samples that were simulated."""
    return judged(conversion.closeness.parts)
