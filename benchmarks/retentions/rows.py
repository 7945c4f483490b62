"""The raw rows: one JSON line for each measurement, in one file a model.

A run that is interrupted goes on behind the last row that is there.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Row:
    """A model as one method made it, measured at a place: a chip's simulator or onnxruntime.

    ``seconds`` are from the float model to the .rknn (to the ONNX file in onnxruntime), ``size`` in
    bytes and ``ms`` (the estimate) are the .rknn's. ``right`` and ``of`` hold two numbers for each
    test sample, whose sums' ratio is the metric; ``sources`` say which samples come from the same
    photograph, and are in the float row alone. A row with an ``error`` has no figures.
    """

    model: str
    method: str
    place: str
    calib: int
    test: int
    error: str = ""
    seconds: float = 0
    size: int = 0
    ms: float = 0
    way: str = ""
    sqnr_db: float | None = None
    right: tuple[float, ...] = ()
    of: tuple[float, ...] = ()
    sources: tuple[int, ...] = ()

    @property
    def key(self) -> tuple[str, str, str, int, int]:
        """Return what no two rows share."""
        return self.model, self.method, self.place, self.calib, self.test


Rows = dict[tuple[str, str, str, int, int], Row]


def read_rows(folder: Path) -> Rows:
    """Return every row of the files in a folder by its key; of one key the last."""
    rows = {}
    for file in sorted(folder.glob("*.jsonl")):
        for line in file.read_text().splitlines():
            row = _row(json.loads(line))
            rows[row.key] = row
    return rows


def keep_row(folder: Path, row: Row) -> None:
    """Write a row to the file of its model, in place of one with the same key."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = {key: other for key, other in read_rows(folder).items() if key[0] == row.model}
    part = folder / f"{row.model}.part"
    part.write_text(_lines({**rows, row.key: row}.values()))
    part.rename(folder / f"{row.model}.jsonl")


def _row(fields: dict[str, object]) -> Row:
    lists = {name: tuple(value) for name, value in fields.items() if isinstance(value, list)}
    return Row(**{**fields, **lists})  # type: ignore[arg-type]


def _lines(rows: Iterable[Row]) -> str:
    return "".join(f"{json.dumps(_short(asdict(row)), separators=(',', ':'))}\n" for row in rows)


def _short(fields: dict[str, object]) -> dict[str, object]:
    """Return the fields without empty ones, whole numbers as such."""
    return {name: _plain(value) for name, value in fields.items() if value not in ("", (), 0, None)}


def _plain(value: object) -> object:
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float):
        return int(value) if value.is_integer() else round(value, 4)
    return value
