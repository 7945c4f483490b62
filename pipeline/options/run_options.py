"""What a whole run is for, and what does not stop it."""

from __future__ import annotations

from dataclasses import dataclass

from ...core.list_kinds import Choices, Names
from ...core.option_kinds import Whole
from ...core.options import Options, opt


@dataclass(frozen=True)
class RunOptions(Options):
    """The chips, the seed of all that is random, and what is let pass."""

    target: tuple[str, ...] = opt(
        ("rk3588",),
        Names("CHIP", repeats=True, least=1),
        "Chip to build for. Repeatable.",
        "run prune quantize convert inspect demo",
        defaults={"inspect": "none"},
    )
    seed: int = opt(0, Whole(0), "For all that is random.", "run check prune quantize convert")
    allow: tuple[str, ...] = opt(
        (),
        Choices(("preprocess",)),
        "Go on although the samples are fed wrongly, by what the original model scores. "
        "Repeatable.",
        "run check",
    )
