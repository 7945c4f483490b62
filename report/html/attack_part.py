"""The card of the HTML report on images that were changed on purpose."""

from __future__ import annotations

from collections.abc import Sequence

from ...core.percents import percent_text
from ...core.results.sample_rows import AttackRow
from ..text.attack_text import attack_name, attacks, attacks_subject, door_text, share_text
from .elements import card, data_table, interval_rows
from .markup import Markup, tag


def attacks_card(rows: Sequence[AttackRow]) -> Markup | None:
    """Draw what is left under each attack with its interval, and say whose samples are lost."""
    if not rows:
        return None
    retained = [(attack_name(row), row.retention, row.low, row.high) for row in rows]
    values = [
        [attack_name(row), share_text(row.baseline), share_text(row.candidate)] for row in rows
    ]
    headings = ["images", "original", "result"]
    doors = [tag("p", f"{attack_name(row)}: {door_text(row)}.") for row in attacks(rows)]
    return card(
        "Under attack",
        tag("div", interval_rows(retained, percent_text)),
        data_table("Under attack", headings, values, numbers=2),
        *doors,
        note=f"Retention with its 95\u00a0% interval: {attacks_subject(rows)}.",
    )
