"""Which board is talked to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ...core.address_kinds import Address
from ...core.option_kinds import Flag
from ...core.options import Options, opt

BOARD_SECONDS = 60.0  # without a word of the board, where nobody says otherwise


def _read(text: str) -> object:
    from ...board.links.address import read_address

    return read_address(text)


@dataclass(frozen=True)
class BoardOptions(Options):
    """Where the board is that results are measured on."""

    heading: ClassVar[str] = "Result"

    board: str | None = opt(
        None,
        Address(_read, "ssh://[user@]host[:port], adb://SERIAL or local"),
        "The board that the .rknn runs on: what it gives there counts, beside the simulator and "
        "the estimate. ssh://[user@]host[:port], adb://SERIAL, or local, on a board on which "
        "rockpress itself is installed.",
        "run check predict bench doctor",
    )
    layers: bool = opt(
        False,
        Flag(),
        "Look at each layer too: bench times it by the runtime's own table; check says which is "
        "the "
        "first whose result differs from the simulator's, by builds of its own.",
        "check bench",
    )
