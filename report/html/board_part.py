"""The HTML report's part on a board: which, its time, and how far it is from the simulator."""

from __future__ import annotations

from ...core.results.board_comparison import LayerComparison
from ...core.results.report import TargetReport
from ..text.board_layers_text import LAYER_HEADINGS, layer_rows
from ..text.board_text import board_lines
from .elements import card, data_table, folded
from .markup import Markup, tag


def board_card(target: TargetReport) -> Markup | None:
    """Return what was measured on a board, None where nothing was."""
    if target.board is None:
        return None
    lines = [tag("p", f"{line[0].upper()}{line[1:]}.") for line in board_lines(target)]
    return card("On the board", *lines, _layers(target.board.layers))


def _layers(comparison: LayerComparison | None) -> Markup | None:
    """Return the layers that were looked at, which are read when they are opened."""
    if comparison is None:
        return None
    rows = layer_rows(comparison)
    table = data_table("Board and simulator, layer by layer", LAYER_HEADINGS, rows, numbers=3)
    return folded("layer by layer", table, rows=len(rows))
