"""The layers that others have timed one by one on a board, as rows of the compiler's table."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache

from rockpress.convert.chips.compiler_log import Layer
from rockpress.convert.chips.targets import find_target
from rockpress.core.types import Shape

from .records import FOLDER

CHIP = "rk3588"
# The families of published.csv that a network shares layers with; it is left out with each of them.
FAMILIES = {
    "yolov5n": {"yolov5"},
    "yolov5s": {"yolov5"},
    "yolov5nu": {"yolov5", "yolov8"},
    "yolov5su": {"yolov5", "yolov8"},
    "yolov8n": {"yolov8"},
    "yolov8s": {"yolov8"},
    "yolo11n": {"yolov10-11"},
    "yolo11s": {"yolov10-11"},
    "yolo26n": {"yolov10-11"},
    "yolo26s": {"yolov10-11"},
}
_BYTES_A_CYCLE = 17.47  # of memory, in the tables of the board's runtime


@dataclass(frozen=True)
class Run:
    """One network's timed layers; ``microseconds`` are those of ``layers``."""

    model: str
    layers: tuple[Layer, ...]
    microseconds: tuple[float, ...]


@cache
def runs() -> tuple[Run, ...]:
    """Return the runs of board_layers.csv, in its order."""
    rows: dict[str, list[dict[str, str]]] = {}
    for row in read_rows("board_layers.csv"):
        rows.setdefault(row["model"], []).append(row)
    return tuple(
        Run(model, tuple(map(_layer, timed)), tuple(float(row["us"]) for row in timed))
        for model, timed in rows.items()
    )


def read_rows(name: str) -> list[dict[str, str]]:
    """Return the rows of a CSV file of this folder, without its comments."""
    lines = (FOLDER / name).read_text(encoding="utf-8").splitlines()
    return list(csv.DictReader(line for line in lines if not line.startswith("#")))


def _layer(row: dict[str, str]) -> Layer:
    kilobytes = float(row["ddr_cycles"]) * _BYTES_A_CYCLE / 1024
    ddr = round(kilobytes * find_target(CHIP).ddr_cycles_per_kb)
    npu = int(row["npu_cycles"])
    shapes = tuple(shape_of(text) for text in row["inputs"].split()), (shape_of(row["output"]),)
    return Layer(1, row["op"], "INT8", "NPU", *shapes, ddr, npu, max(ddr, npu), row["op"])


def shape_of(text: str) -> Shape:
    """Return the sizes of "1x3x640x640"."""
    return tuple(int(size) for size in text.split("x"))
