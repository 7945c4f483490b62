"""Compare the estimated ratio of float16 to int8 with what is published, and say its band.

Four looks at it: the same network in both formats (pairs.csv), which holds what the CPU does too or
is of two versions; what a larger network takes more than a smaller one in the same program, where
the CPU's part cancels; two networks of one family, one of them in float16 (errors.csv, the family
left out of the fit); and single layers timed on a board (layers.csv), where a ratio is right if
both formats are off by the same factor. From the repository's root:

    python -m benchmarks.latency.ratios
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import exp, log
from pathlib import Path
from statistics import median

from rockpress.convert.chips.compiler_log import Layer
from rockpress.convert.chips.targets import find_target
from rockpress.convert.latency.bands import ratio_band
from rockpress.convert.latency.estimate import estimate, layer_costs
from rockpress.core.types import Shape

from .records import FOLDER, read_published, read_tables

_PUBLISHED_WITH = "2.3.2"  # the toolkit of the tables that the published times are fitted with


@dataclass(frozen=True)
class Ratio:
    """Time in float16 over time in int8; ``counts`` where toolkit and runtime were the same."""

    name: str
    published: float
    estimated: float
    counts: bool = True

    @property
    def error(self) -> float:
        """The factor by which the estimate is off, 1 or more."""
        return exp(abs(log(self.estimated / self.published)))


def same_network() -> Iterator[Ratio]:
    """Yield the networks published in both formats; none counts, see pairs.csv."""
    for row in _rows(FOLDER / "pairs.csv"):
        chip, model = row["chip"], row["model"]
        estimated = estimated_ms(model, chip, "fp16") / estimated_ms(model, chip, "int8")
        published = float(row["float16_ms"]) / float(row["int8_ms"])
        yield Ratio(f"{model} on {chip}, {row['source']}", published, estimated, counts=False)


def larger_less_smaller() -> Iterator[Ratio]:
    """Yield the ratio of what the largest network of a program takes more than the smallest."""
    for source, group in groupby(_rows(FOLDER / "pairs.csv"), key=lambda row: row["source"]):
        rows = sorted(group, key=lambda row: float(row["int8_ms"]))
        chips, models = ({row[key] for row in rows} for key in ("chip", "model"))
        if len(chips) == 1 and len(models) > 1:
            small, large = rows[0], rows[-1]
            published = _difference(small, large, "float16_ms") / _difference(
                small, large, "int8_ms"
            )
            wide, narrow = (
                estimated_ms(large["model"], large["chip"], dtype)
                - estimated_ms(small["model"], small["chip"], dtype)
                for dtype in ("fp16", "int8")
            )
            name = f"{large['model']} less {small['model']}, {source}"
            yield Ratio(name, published, wide / narrow)


def _difference(small: dict[str, str], large: dict[str, str], column: str) -> float:
    return float(large[column]) - float(small[column])


def same_family() -> Iterator[Ratio]:
    """Yield pairs of different networks of one family, of which the first is in float16."""
    networks = {network.model: network for network in read_published()}
    rows = [
        row
        for row in _rows(FOLDER / "errors.csv")
        if row.get("toolkit", _PUBLISHED_WITH) == _PUBLISHED_WITH
    ]
    for chip in sorted({row["chip"] for row in rows}):
        there = [(networks[row["model"]], row) for row in rows if row["chip"] == chip]
        for wide, in_float16 in there:
            for narrow, in_int8 in there:
                if (wide.family, wide.dtype, narrow.dtype) == (narrow.family, "fp16", "int8"):
                    name = f"{wide.model} / {narrow.model} on {chip}"
                    published, estimated = (
                        float(in_float16[key]) / float(in_int8[key])
                        for key in ("published_ms", "family_left_out_ms")
                    )
                    yield Ratio(name, published, estimated)


def layer_factors() -> Iterator[tuple[str, str, list[float]]]:
    """Yield operator, format, and by what factor the estimates of its layers are off."""
    rows = sorted(_rows(FOLDER / "layers.csv"), key=lambda row: (row["op"], row["dtype"]))
    for (operator, dtype), group in groupby(rows, key=lambda row: (row["op"], row["dtype"])):
        yield operator, dtype, [_estimated_us(row) / float(row["us"]) for row in group]


def _rows(file: Path) -> list[dict[str, str]]:
    lines = file.read_text(encoding="utf-8").splitlines()
    return list(csv.DictReader(line for line in lines if not line.startswith("#")))


def estimated_ms(model: str, chip: str, dtype: str) -> float:
    """Estimate from the table kept of that format: that of the model's own has its plain name."""
    usual = {network.model: network.dtype for network in read_published()}.get(model, "int8")
    name = model if dtype == usual else f"{model}-{dtype}"
    for toolkit in (_PUBLISHED_WITH, "2.5.0"):
        if chip in (tables := read_tables(name, toolkit)):
            latency = estimate(tables[chip], find_target(chip), toolkit)
            assert latency is not None and latency.ms is not None
            return latency.ms
    raise ValueError(f"no table of {name} on {chip}")


def _estimated_us(row: dict[str, str]) -> float:
    ddr, npu = int(row["ddr_cycles"]), int(row["npu_cycles"])
    read = tuple(_shape(text) for text in row["inputs"].split())
    written = (_shape(row["output"]),)
    cycles = ddr, npu, max(ddr, npu)
    layer = Layer(1, row["op"], row["dtype"], "NPU", read, written, *cycles, name="layer")
    ms = layer_costs([layer], find_target("rk3588"))[0].ms
    assert ms is not None
    return 1000 * ms


def _shape(text: str) -> Shape:
    return tuple(int(size) for size in text.split("x"))


def _print(title: str, ratios: Sequence[Ratio]) -> None:
    print(f"\n{title}\n  {'':44}{'published':>10}{'estimated':>10}{'off by':>8}")
    for ratio in ratios:
        figures = f"{ratio.published:10.2f}{ratio.estimated:10.2f}{ratio.error:8.2f}"
        note = "" if ratio.counts else "  not counted"
        print(f"  {ratio.name:44}{figures}{note}")


def main() -> int:
    """Print all of it; exit with 1 when the shipped band does not hold every pair that counts."""
    differences, family = list(larger_less_smaller()), list(same_family())
    _print("one network in float16 and in int8", list(same_network()))
    _print("what a larger network takes more, in float16 and in int8", differences)
    _print("a network in float16 and one of its family in int8", family)
    print("\nlayers on a board, estimate over measured (rk3588)")
    for operator, dtype, factors in layer_factors():
        print(f"  {operator:16}{dtype:9}{len(factors):4}  median {median(factors):.2f}")
    counted = [ratio.error for ratio in (*differences, *family) if ratio.counts]
    print(f"\n{len(counted)} pairs count, the worst is off by {max(counted):.3f}; ", end="")
    print(f"shipped band: a factor of {ratio_band('formats')}")
    return int(max(counted) > ratio_band("formats"))


if __name__ == "__main__":
    sys.exit(main())
