"""The table of what a whole run takes beside the toolkit's own quantizer."""

from __future__ import annotations

from benchmarks.quantizations.quantizing import Cost
from benchmarks.run_cost import table_of


def test_the_table_has_medians_and_the_range_of_cpu_seconds() -> None:
    costs = [Cost(0, seconds, cpu, peak) for seconds, cpu, peak in ((9, 3, 80), (2, 1, 90))]
    table = table_of({"toolkit-normal": costs, "rockpress run": [Cost(0, 30.0, 20.25, 400.4)]})
    assert "| toolkit-normal | 5.5 | 2.0 (1.0 to 3.0) | 90 |" in table
    assert table.endswith("| rockpress run | 30.0 | 20.2 (20.2 to 20.2) | 400 |")
