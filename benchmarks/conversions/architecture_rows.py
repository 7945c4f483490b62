"""The second table: a row for each architecture and chip, and what follows from the rows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from .architectures import Architecture
from .measure import Case, Outcome

Results = Mapping[str, Outcome]
CHIPS = ("rk3588", "rk3566", "rv1106")
ON_CHIPS = ("plain", "rockpress")
TOOLS = ("onnxruntime", "prune", *ON_CHIPS)
CALIBRATION, EVALUATION = 12, 12  # samples
_FARTHER = 1.0  # dB: so much below the plain calls is a failure
_HEAD = ("model", "exporter", "MACs pruned", "ONNX Runtime")
_BUG = "exit 3"


@dataclass(frozen=True)
class Row:
    """An architecture on a chip: the outcomes of all tools, None for what was not measured."""

    architecture: Architecture
    chip: str
    onnxruntime: Outcome | None
    prune: Outcome | None
    plain: Outcome | None
    rockpress: Outcome | None

    @property
    def failures(self) -> Iterator[str]:
        """Yield what is wrong with the row, in words."""
        for tool, outcome in (("prune", self.prune), ("rockpress", self.rockpress)):
            if outcome is not None and outcome.status == _BUG:
                yield f"{tool}: {_BUG}: {outcome.error}"
        plain, ours = self.plain, self.rockpress
        if plain is None or ours is None or not plain.is_converted or plain.is_nan:
            return
        if not ours.is_converted:
            yield f"converted by the plain toolkit alone: {ours.status}: {ours.error}"
        elif _db(ours) < _db(plain) - _FARTHER:
            yield f"{_db(plain) - _db(ours):.1f} dB below the plain toolkit"


def cases_of(architectures: Sequence[Architecture], toolkit: str) -> Iterator[Case]:
    """Yield every measurement, chip by chip; pruning and ONNX Runtime do not depend on the chip."""
    for chip in CHIPS:
        for architecture in architectures:
            for tool in TOOLS:
                if chip == CHIPS[0] or tool in ON_CHIPS:
                    yield _case(architecture, tool, toolkit, chip)


def rows_of(architectures: Sequence[Architecture], toolkit: str, results: Results) -> list[Row]:
    """Return the rows that have at least one outcome of their chip."""
    rows = []
    for architecture in architectures:
        for chip in CHIPS:
            each = {}
            for tool in TOOLS:
                place = chip if tool in ON_CHIPS else CHIPS[0]
                each[tool] = results.get(_case(architecture, tool, toolkit, place).key)
            if each["plain"] or each["rockpress"]:
                rows.append(Row(architecture, chip, **each))
    return rows


def _case(architecture: Architecture, tool: str, toolkit: str, chip: str) -> Case:
    """Return a case in int8 throughout, as that is what the plain calls and ONNX Runtime make."""
    return Case(architecture.name, "int8", tool, toolkit, chip, CALIBRATION, EVALUATION, "off")


def print_rows(rows: Sequence[Row]) -> None:
    """Print a line for each architecture, how many each tool converted, and what is wrong."""
    print(f"| {' | '.join((*_HEAD, *CHIPS))} |\n|{'---|' * (len(_HEAD) + len(CHIPS))}")
    for name in dict.fromkeys(row.architecture.name for row in rows):
        chips = {row.chip: row for row in rows if row.architecture.name == name}
        print(f"| {' | '.join(_cells(chips))} |")
    measured = [row for row in rows if row.plain and row.rockpress]
    for tool in ON_CHIPS:
        converted = sum(getattr(row, tool).is_converted for row in measured)
        print(f"\n{tool}: {converted} of {len(measured)} converted")
    failures = [(row, text) for row in rows for text in row.failures]
    print(f"\nwrong: {len(failures)}")
    for row, text in failures:
        print(f"- {row.architecture.name} {row.chip}: {text}")


def _cells(chips: Mapping[str, Row]) -> list[str]:
    first = next(iter(chips.values()))
    pairs = [(chips[chip].plain, chips[chip].rockpress) if chip in chips else () for chip in CHIPS]
    return [
        first.architecture.name,
        first.architecture.exporter,
        _pruned(first.prune),
        _text(first.onnxruntime),
        *(" / ".join(map(_text, pair)) or "not run" for pair in pairs),
    ]


def _pruned(outcome: Outcome | None) -> str:
    if outcome is None:
        return "not run"
    return outcome.way or f"fails ({outcome.status})"


def _text(outcome: Outcome | None) -> str:
    """Return the SQNR in dB, and how it was converted where that is not the QDQ model."""
    if outcome is None:
        return "not run"
    way = f" ({outcome.way})" if outcome.way not in ("", "qdq") else ""
    if outcome.sqnr_db is not None:
        return f"{outcome.sqnr_db:.1f}{way}"
    return f"not simulated{way}" if outcome.is_converted else f"fails ({outcome.status})"


def _db(outcome: Outcome) -> float:
    value = outcome.sqnr_db
    return -math.inf if value is None or math.isnan(value) else value
