"""What a whole run is for, and what does not stop it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ...core.list_kinds import Choices, Names
from ...core.option_kinds import Whole
from ...core.options import Options, opt


def _chip_names() -> tuple[str, ...]:
    from ...convert.chips.targets import TARGET_NAMES

    return TARGET_NAMES


@dataclass(frozen=True)
class RunOptions(Options):
    """The chips, the seed of all that is random, and what is let pass."""

    heading: ClassVar[str] = "Result"

    target: tuple[str, ...] = opt(
        ("rk3588",),
        Names("CHIP", repeats=True, commas=False, least=1, known=_chip_names),
        "Chip to build for. Repeatable.",
        "run prune quantize convert inspect demo",
        defaults={"inspect": "none"},
    )
    seed: int = opt(
        0,
        Whole(0),
        "For all that is random.",
        "run check prune quantize convert predict",
        heading="Toolkit and machine",
    )
    allow: tuple[str, ...] = opt(
        (),
        Choices(("preprocess",)),
        "Go on although the samples are fed wrongly, by what the original model scores. "
        "Repeatable.",
        "run check",
        heading="Preprocessing",
    )
