"""What the RKNN compiler prints of a model: layers, cycles, memory, and what the CPU gets."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

from ...core.graphs.sparsity import Axis
from ...core.results.model_figures import Memory
from ...core.types import Shape

_TITLE = "Network Layer Information Table"
CONSTANTS = "Const Tensor Information Table"
FEATURES = "Feature Tensor Information Table"
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
_READ = re.compile(r"^\s*(?P<index>\d+)\s+\S+\s+(?P<tensor>\S+)\s+(?P<dtype>[A-Z]+\d+)\s")
_SHAPE_LIST = re.compile(r"\\|\([\d,]*\)(?:,\([\d,]*\))*")
_SHAPE = re.compile(r"\(([\d,]*)\)")
_MEMORY = re.compile(r"Total (Internal|Weight) Memory Size: ([\d.]+)\s*([KMG]?B)")
_UNITS = {"B": 1, "KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30}
_OUTSIDE = {"InputOperator", "OutputOperator"}
_AXES: dict[str, Axis] = {"IC": "input", "OC": "output"}
_FALLBACK = re.compile(
    r"^.*?RKNN: \[[\d:.]+\] ?(?P<op>[A-Za-z]\w*)[: ](?P<why>.*fall ?back\b.*)$", re.I
)
_LIMIT = re.compile(
    r"(?P<size>\w+\(\d+\)[^=]*= \d+), required product no larger than (?P<most>\d+)"
)


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
        """Whether the row stands for an input or output of the model."""
        return self.op in _OUTSIDE


def parse_layers(log: str) -> tuple[Layer, ...]:
    """Read the rows of the last layer table in a log; () when there is none.

    >>> row = "0 ConvRelu INT8 NPU (1,3,8,8),(4,3,1,1) (1,4,8,8) 90/70/90 0% 5 Conv:stem"
    >>> layer, = parse_layers("Network Layer Information Table\\n" + row)
    >>> layer.output_shapes, layer.total_cycles, layer.name
    (((1, 4, 8, 8),), 90, 'Conv:stem')
    """
    weights, features = stored_bytes(log, CONSTANTS), stored_bytes(log, FEATURES)
    rows = filter(None, map(_ROW.match, _table(log, _TITLE)))
    return tuple(_layer(row, weights, features) for row in rows)


def log_of_largest(log: str, shapes: int) -> str:
    """Return a log up to the end of the largest of several ``shapes`` of the inputs.

    The compiler builds them one after the other, the largest first (rknn-toolkit2 2.5.0).

    >>> log_of_largest(f"a {_TITLE} large b {_TITLE} small", 2)
    'a Network Layer Information Table large b '
    """
    parts = log.split(_TITLE)
    return _TITLE.join(parts[: len(parts) - max(shapes - 1, 0)])


def stored_bytes(log: str, title: str) -> dict[int, int]:
    """Return the bytes that each layer reads of a table, CONSTANTS or FEATURES, by index.

    As they are stored; what layers share counts for each of them.

    >>> rows = "1 Conv w INT8 (8,3,3,3) | 0x0 0x240 0x240", "1 Conv b INT32 (8) | 0x240 0x340 0x100"
    >>> stored_bytes("\\n".join([CONSTANTS, *rows]), CONSTANTS)
    {1: 832}
    """
    sizes: Counter[int] = Counter()
    for row in filter(None, map(_STORED.match, _table(log, title))):
        sizes[int(row["index"])] += int(row["size"], 16)
    return dict(sizes)


def feature_formats(log: str) -> dict[int, dict[str, str]]:
    """Return, for the index of each layer, tensor -> number format of the feature maps it reads.

    >>> rows = "3 Concat a INT8 NC1HWC2 (1,8,4,4) |", "3 Concat b FLOAT16 NC1HWC2 (1,8,4,4) |"
    >>> feature_formats("\\n".join([FEATURES, *rows]))
    {3: {'a': 'INT8', 'b': 'FLOAT16'}}
    """
    formats: dict[int, dict[str, str]] = {}
    for row in filter(None, map(_READ.match, _table(log, FEATURES))):
        formats.setdefault(int(row["index"]), {})[row["tensor"]] = row["dtype"]
    return formats


def _table(log: str, title: str) -> list[str]:
    """The lines of the last table of that title, without the compiler's own prefix."""
    _, title_line, rest = log.rpartition(title)
    lines: list[str] = []
    for line in rest.splitlines() if title_line else ():
        text = _PREFIX.sub("", line)
        if "<<<<" in text or "Information Table" in text or text.startswith("Total "):
            break
        lines.append(text)
    return lines


def parse_memory(log: str) -> Memory | None:
    """Read the totals of both kinds of memory, or None when the log does not have both.

    >>> parse_memory("Total Internal Memory Size: 1.5KB\\nTotal Weight Memory Size: 2KB")
    Memory(internal_bytes=1536, weight_bytes=2048)
    """
    totals = {kind: float(size) * _UNITS[unit] for kind, size, unit in _MEMORY.findall(log)}
    if set(totals) != {"Internal", "Weight"}:
        return None
    return Memory(round(totals["Internal"]), round(totals["Weight"]))


def _layer(row: re.Match[str], weights: dict[int, int], features: dict[int, int]) -> Layer:
    inputs, outputs = _both_shapes(row["shapes"], row["op"])
    index = int(row["index"])
    return Layer(
        index=index,
        op=row["op"],
        dtype=row["dtype"],
        runs_on=row["runs_on"],
        input_shapes=inputs,
        output_shapes=outputs,
        ddr_cycles=int(row["ddr"]),
        npu_cycles=int(row["npu"]),
        total_cycles=int(row["total"]),
        name=row["name"],
        weight_bytes=weights.get(index, 0),
        feature_bytes=features.get(index, 0),
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


def fallback_reasons(log: str) -> dict[str, str]:
    """Return operator -> why the compiler gives it to the CPU, all that the log says joined.

    It says some before it finds another way, so the table may show the layer on the NPU.

    >>> log = "W RKNN: [07:00:00.000] AveragePool count_include_pad=0, fallback to cpu"
    >>> fallback_reasons(log)
    {'AveragePool': 'count_include_pad=0'}
    """
    reasons: dict[str, dict[str, None]] = {}
    for match in filter(None, map(_FALLBACK.search, log.splitlines())):
        reasons.setdefault(match["op"], {})[_reason(match["why"])] = None
    return {op: "; ".join(those) for op, those in reasons.items()}


def _reason(text: str) -> str:
    """The part of a line that says why: a limit with the size, or what precedes the verdict.

    >>> _reason("will fallback to CPU, because input shape has exceeded the max limit, "
    ...         "height(400) * width(64) = 25600, required product no larger than 8192!")
    'height(400) * width(64) = 25600, and the limit is 8192'
    """
    limit = _LIMIT.search(text)
    if limit:
        return f"{limit['size']}, and the limit is {limit['most']}"
    because = text.partition("because ")[2]
    return (
        because.strip(" !.") or re.split(r",? *(?:will )?fall ?back", text, flags=re.I)[0].strip()
    )
