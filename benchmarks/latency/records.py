"""The published figures, and the compiler's layer tables as they are kept in tables/.

A folder for each version of the toolkit, with a file for each model: gzip'd JSON, for every chip
the rows of the table. Rows lack the names of the layers, which the estimate does not need.
"""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rockpress.convert.chips.compiler_log import Layer

FOLDER = Path(__file__).parent
CHIPS = ("rk3588", "rk3576", "rk3562", "rk3566")


@dataclass(frozen=True)
class Published:
    """One row of published.csv; ``fps`` by chip."""

    model: str
    family: str
    shape: tuple[int, ...]
    dtype: str
    built: str
    fps: dict[str, float]


def read_published() -> list[Published]:
    """Return all rows, in the order of the source."""
    lines = (FOLDER / "published.csv").read_text(encoding="utf-8").splitlines()
    rows = csv.DictReader(line for line in lines if not line.startswith("#"))
    return [
        Published(
            row["model"],
            row["family"],
            tuple(int(size) for size in row["input"].split("x")),
            row["dtype"],
            row["built"],
            {chip: float(row[chip]) for chip in CHIPS},
        )
        for row in rows
    ]


def _file(model: str, toolkit: str) -> Path:
    return FOLDER / "tables" / toolkit / f"{model}.json.gz"


def read_tables(model: str, toolkit: str = "2.5.0") -> dict[str, tuple[Layer, ...]]:
    """Return the layers by chip; empty when the model was not compiled with that toolkit."""
    rows = _read(_file(model, toolkit)).get("chips", {})
    return {chip: tuple(_layer(i, row) for i, row in enumerate(rows[chip])) for chip in rows}


def add_table(model: str, chip: str, toolkit: str, layers: Sequence[Layer]) -> None:
    """Keep one more table."""
    file = _file(model, toolkit)
    record = _read(file)
    record.setdefault("chips", {})[chip] = [_row(layer) for layer in layers]
    text = json.dumps(record, separators=(",", ":"))
    file.parent.mkdir(parents=True, exist_ok=True)
    # no time in the header: the same tables give the same bytes
    file.write_bytes(gzip.compress(text.encode(), mtime=0))


def _read(file: Path) -> dict[str, Any]:
    if not file.is_file():
        return {}
    record: dict[str, Any] = json.loads(gzip.decompress(file.read_bytes()))
    return record


def _row(layer: Layer) -> list[Any]:
    cycles = [layer.ddr_cycles, layer.npu_cycles, layer.total_cycles]
    shapes = [layer.input_shapes, layer.output_shapes]
    return [layer.op, layer.dtype, layer.runs_on, *shapes, *cycles]


def _layer(index: int, row: Sequence[Any]) -> Layer:
    op, dtype, runs_on, inputs, outputs, ddr, npu, total = row
    read, written = (tuple(tuple(shape) for shape in side) for side in (inputs, outputs))
    return Layer(index, op, dtype, runs_on, read, written, ddr, npu, total, f"{op}_{index}")
