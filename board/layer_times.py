"""The table of the runtime's profile (RKNN_QUERY_PERF_DETAIL): what each layer took."""

from __future__ import annotations

import re

from ..core.results.board_figures import BoardLayer

_MOST_LAYERS, _LONGEST_ROW = 100_000, 4096
# number, operator, type, NPU or CPU, shapes, cycles, time, and after what may be missing the name
_ROW = re.compile(
    r"^\s*(?P<index>\d{1,7})\s+(?P<op>\S{1,80})\s+(?P<dtype>\S{1,20})\s+(?P<runs_on>NPU|CPU|GPU)\s"
    r".*?\s\d{1,15}/\d{1,15}/(?P<cycles>\d{1,15})\s+(?P<us>\d{1,12})\s"
    r"(?:.*%)?[\s\d./]*\s(?P<name>[^\W\d].*\S)\s*$"
)


def parse_layer_times(table: str) -> list[BoardLayer]:
    """Return the rows of a profile's table, [] where there are none.

    >>> row = "2 ConvRelu INT8 NPU (1,3,8,8),(4,3,1,1) (1,4,8,8) 90/70/90 1948 2.22/0/0 9 Conv:stem"
    >>> layer, = parse_layer_times(row)
    >>> layer.name, layer.us, layer.total_cycles
    ('Conv:stem', 1948.0, 90)
    """
    rows = (_ROW.match(line[:_LONGEST_ROW]) for line in table.splitlines()[:_MOST_LAYERS])
    return [
        BoardLayer(
            index=int(row["index"]),
            op=row["op"],
            dtype=row["dtype"],
            runs_on=row["runs_on"],
            us=float(row["us"]),
            name=row["name"],
            total_cycles=int(row["cycles"]),
        )
        for row in rows
        if row
    ]
