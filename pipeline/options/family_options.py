"""The family that a model is of, which sets what is not given."""

from __future__ import annotations

from dataclasses import dataclass

from ...core.option_kinds import Choice
from ...core.options import Options, opt
from ..families import AUTO, OFF, family_names


@dataclass(eq=False, repr=False)
class FamilyName(Choice):
    """The name of a family, auto or off."""

    @property
    def metavar(self) -> str:  # type: ignore[override]
        """What help shows: not all of them."""
        return f"NAME|{AUTO}|{OFF}"


@dataclass(frozen=True)
class FamilyOptions(Options):
    """Where the values of options come from that are not given."""

    family: str = opt(
        AUTO,
        FamilyName(family_names),
        "Take what is not given of the samples' form and the metric from the model's family.",
        "run prune quantize convert check inspect",
        default="auto, the family that the model is recognised to be of",
    )
