"""Tables in the width there is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

# what the first column, of names that can be cut, has at least
LEAST_NAME = 12
_MOST_NEEDED = 4


def fitting_columns(
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    needs: Sequence[int],
    width: int,
    gap: int,
) -> list[int]:
    """Return the places of the columns that fit, the most needed first, in their order.

    The first column, of names, is always there, and is cut only to make room for those that are
    needed most. The first that does not fit ends it: what is needed less does not take its place.

    >>> rows = [("rknn", "320.3 kB", "24.8 k", "0.22 ms")]
    >>> fitting_columns(("model", "size", "cycles", "latency"), rows, (0, 2, 9, 1), 31, 2)
    [0, 1, 3]
    """
    name, *others = column_widths(headings, rows)
    wanted = [place for place, need in enumerate(needs) if need <= _MOST_NEEDED]
    whole = _fitting([name, *others], needs, range(len(needs)), width, gap)
    if set(wanted) <= set(whole):
        return whole
    return _fitting([min(name, LEAST_NAME), *others], needs, wanted, width, gap)


def _fitting(
    widths: Sequence[int], needs: Sequence[int], places: Iterable[int], width: int, gap: int
) -> list[int]:
    left = width + gap
    fitting: list[int] = []
    for place in sorted(places, key=lambda place: needs[place]):
        left -= widths[place] + gap
        if left < 0 and fitting:
            break
        fitting.append(place)
    return sorted(fitting)


def column_widths(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[int]:
    """Return the characters that each column needs; a heading may have several lines."""
    lines = [max(heading.split("\n"), key=len) for heading in headings]
    return [max(map(len, column)) for column in zip(lines, *rows, strict=True)]
