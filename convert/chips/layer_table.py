"""What the RKNN compiler prints about the model it has built: its layers, cycles and memory."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from ...core.graphs.sparsity import Axis
from ...core.types import Shape

_TITLE = "Network Layer Information Table"
_CONSTANTS = "Const Tensor Information Table"
_FEATURES = "Feature Tensor Information Table"
_PREFIX = re.compile(r"^.*?RKNN: \[[\d:.]+\] ?")
_ROW = re.compile(
    r"^\s*(?P<index>\d+)\s+(?P<op>\S+)\s+(?P<dtype>\S+)\s+(?P<runs_on>[A-Z]+)\s+(?P<shapes>.*?)\s*"
    r"(?P<ddr>\d+)/(?P<npu>\d+)/(?P<total>\d+)\s+"
    r"(?:(?P<sparse>\d+(?:\.\d+)?)%(?:\((?P<axis>\w+)\)\S*)?\s+)?"
    r"\d+\s+(?P<name>\S.*?)\s*$"
)
_STORED = re.compile(
    r"^\s*(?P<index>\d+)\s.*\|\s*0x[\da-f]+[ *]0x[\da-f]+ 0x(?P<size>[\da-f]+)\s*$"
)
_SHAPE_LIST = re.compile(r"\\|\([\d,]*\)(?:,\([\d,]*\))*")
_SHAPE = re.compile(r"\(([\d,]*)\)")
_MEMORY = re.compile(r"Total (Internal|Weight) Memory Size: ([\d.]+)\s*([KMG]?B)")
_UNITS = {"B": 1, "KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30}
_OUTSIDE = {"InputOperator", "OutputOperator"}
_AXES: dict[str, Axis] = {"IC": "input", "OC": "output"}


@dataclass(frozen=True)
class Layer:
    """One row of the compiler's table. ``runs_on`` is NPU or CPU; cycles are of one NPU core.

    ``op`` is the compiler's name after fusion, such as ConvRelu; ``name`` the node's in the model.
    Layers other than convolutions and matrix products show 0 cycles (rknn-toolkit2 2.5.0).
    ``weight_bytes`` are those of its constants (weights, biases, tables), ``feature_bytes`` those
    of the feature maps that it reads, both as stored on the device, with padding. ``sparse_ratio``
    is the part of the weights that the compiler leaves out, as 2:4 sparse along ``sparse_axis``.
    """

    index: int
    op: str
    dtype: str
    runs_on: str
    input_shapes: tuple[Shape, ...]
    output_shapes: tuple[Shape, ...]
    ddr_cycles: int
    npu_cycles: int
    total_cycles: int
    name: str
    weight_bytes: int = 0
    feature_bytes: int = 0
    sparse_ratio: float = 0.0
    sparse_axis: Axis | None = None

    @property
    def is_boundary(self) -> bool:
        """True for the rows that stand for the model's inputs and outputs."""
        return self.op in _OUTSIDE


@dataclass(frozen=True)
class Memory:
    """Bytes on the device: for feature maps, and for weights with their commands."""

    internal_bytes: int
    weight_bytes: int


def parse_layers(log: str) -> tuple[Layer, ...]:
    """The rows of the last layer table in the compiler's log; () when there is none.

    >>> row = "0 ConvRelu INT8 NPU (1,3,8,8),(4,3,1,1) (1,4,8,8) 90/70/90 0% 5 Conv:stem"
    >>> layer, = parse_layers("Network Layer Information Table\\n" + row)
    >>> layer.output_shapes, layer.total_cycles, layer.name
    (((1, 4, 8, 8),), 90, 'Conv:stem')
    """
    weights, features = parse_constants(log), parse_features(log)
    layers = (_layer(row) for row in map(_ROW.match, _table(log, _TITLE)) if row)
    return tuple(
        replace(
            layer,
            weight_bytes=weights.get(layer.index, 0),
            feature_bytes=features.get(layer.index, 0),
        )
        for layer in layers
    )


def parse_constants(log: str) -> dict[int, int]:
    """Layer index -> bytes of its constants as stored. One that two layers share counts twice.

    >>> rows = "1 Conv w INT8 (8,3,3,3) | 0x0 0x240 0x240", "1 Conv b INT32 (8) | 0x240 0x340 0x100"
    >>> parse_constants("\\n".join(["Const Tensor Information Table", *rows]))
    {1: 832}
    """
    return _stored(log, _CONSTANTS)


def parse_features(log: str) -> dict[int, int]:
    """Layer index -> bytes of the feature maps that it reads, as stored."""
    return _stored(log, _FEATURES)


def _stored(log: str, title: str) -> dict[int, int]:
    found: dict[int, int] = {}
    for row in filter(None, map(_STORED.match, _table(log, title))):
        index = int(row["index"])
        found[index] = found.get(index, 0) + int(row["size"], 16)
    return found


def _table(log: str, title: str) -> list[str]:
    """The lines of the last table of that title, without the compiler's own prefix."""
    _, found, rest = log.rpartition(title)
    lines: list[str] = []
    for line in rest.splitlines() if found else ():
        text = _PREFIX.sub("", line)
        if "<<<<" in text or "Information Table" in text or text.startswith("Total "):
            break
        lines.append(text)
    return lines


def parse_memory(log: str) -> Memory | None:
    """The compiler's totals, or None when the log does not have both.

    >>> parse_memory("Total Internal Memory Size: 1.5KB\\nTotal Weight Memory Size: 2KB")
    Memory(internal_bytes=1536, weight_bytes=2048)
    """
    found = {kind: float(size) * _UNITS[unit] for kind, size, unit in _MEMORY.findall(log)}
    if set(found) != {"Internal", "Weight"}:
        return None
    return Memory(round(found["Internal"]), round(found["Weight"]))


def _layer(row: re.Match[str]) -> Layer:
    inputs, outputs = _both_shapes(row["shapes"], row["op"])
    return Layer(
        index=int(row["index"]),
        op=row["op"],
        dtype=row["dtype"],
        runs_on=row["runs_on"],
        input_shapes=inputs,
        output_shapes=outputs,
        ddr_cycles=int(row["ddr"]),
        npu_cycles=int(row["npu"]),
        total_cycles=int(row["total"]),
        name=row["name"],
        sparse_ratio=float(row["sparse"] or 0) / 100,
        sparse_axis=_AXES.get(row["axis"] or ""),
    )


def _both_shapes(text: str, op: str) -> tuple[tuple[Shape, ...], tuple[Shape, ...]]:
    """Input and output shapes: two columns, either of which may be missing or a backslash."""
    columns = [_shapes(column) for column in _SHAPE_LIST.findall(text)]
    if len(columns) == 1:
        return ((), columns[0]) if op == "InputOperator" else (columns[0], ())
    return (columns[0], columns[1]) if columns else ((), ())


def _shapes(column: str) -> tuple[Shape, ...]:
    return tuple(
        tuple(int(size) for size in shape.split(",") if size) for shape in _SHAPE.findall(column)
    )
