"""Compare the layer tables that are predicted before a build with those of builds.

The tables in tables/ need no toolkit. Models given as files are built in int8, float16 and with
scales, and pruned by a quarter of their latency, whose ratio is compared too; ``--size`` is for
inputs that are not fixed. Everything is printed as Markdown. From the repository's root:

    python -m benchmarks.latency.predicted [--chip CHIP] [--size HxW] [MODEL.onnx ...]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, median

import numpy as np
from onnx import ModelProto

from rockpress.convert.chips.compiler_log import Layer
from rockpress.convert.chips.targets import Target, find_target
from rockpress.convert.latency.estimate import estimate
from rockpress.convert.oracle import Oracle
from rockpress.convert.predicted.predicted_table import predicted_layers
from rockpress.core.errors import RockpressError
from rockpress.core.graphs.model import load_model
from rockpress.core.passes.prepare import fixed_input_shapes, input_shapes_of, prepare_model
from rockpress.core.types import Feeds
from rockpress.pipeline.tasks.pruning import cost_of
from rockpress.prune.prune import PruneMethod, Pruner
from rockpress.prune.results.budget import Budget
from rockpress.prune.search.costs import CostFunction
from rockpress.quantize.quantize import quantize

from .architectures import ARCHITECTURES
from .records import CHIPS, read_published, read_tables

_SHARE = 0.25


@dataclass(frozen=True)
class TablePair:
    """A predicted table and a build's of the same model, with the milliseconds of each."""

    model: str
    form: str
    built_ms: float
    predicted_ms: float
    matched: int
    rows: int

    @property
    def error(self) -> float:
        """Predicted over built, less 1."""
        return self.predicted_ms / self.built_ms - 1


def table_pair(
    model: str, form: str, built: Sequence[Layer], predicted: Sequence[Layer], target: Target
) -> TablePair:
    """Return both tables compared: rows are matched by operator, format and place."""
    counts = [
        Counter((row.op, row.runs_on) for row in table if not row.is_boundary)
        for table in (built, predicted)
    ]
    matched = (counts[0] & counts[1]).total()
    times = _ms(built, target), _ms(predicted, target)
    return TablePair(model, form, *times, matched, counts[0].total())


def _ms(layers: Sequence[Layer], target: Target) -> float:
    latency = estimate(layers, target)
    if latency is None or latency.ms is None:
        raise ValueError(f"{target.name} has no latency fit")
    return latency.ms


def stored_pairs(
    models: Sequence[str] = tuple(ARCHITECTURES), chips: Sequence[str] = CHIPS
) -> Iterator[TablePair]:
    """Yield the stored tables of rknn-toolkit2 2.5.0 beside the predictions from their graphs."""
    in_int8 = {network.model for network in read_published() if network.dtype == "int8"}
    for name in models:
        tables = {chip: table for chip, table in read_tables(name).items() if chip in chips}
        if not tables:
            continue
        model = prepare_model(ARCHITECTURES[name]())
        for chip, table in tables.items():
            target, dtype = find_target(chip), "int8" if name in in_int8 else "float16"
            predicted = predicted_layers(model, target, dtype)
            yield table_pair(f"{name} {chip}", dtype, table, predicted, target)


def _built_pairs(file: Path, size: str, target: Target, oracle: Oracle) -> Iterator[TablePair]:
    """Yield one pair for each format of a file, and those of the pruned model."""
    model = _prepared(file, size)
    for dtype in ("int8", "float16"):
        table = oracle.layers(model, target.name, dtype)
        predicted = predicted_layers(model, target, dtype)
        yield table_pair(file.stem, dtype, table, predicted, target)
    whole = _scaled(model)
    yield _built(file.stem, "with scales", whole, target, oracle)
    before = _ms(oracle.layers(whole, target.name), target)
    cost = cost_of(Budget("latency", _SHARE), target, "int8")
    for form, function in (
        ("by the table", cost),
        ("by the layers", CostFunction(cost.of_layer, cost.step)),
    ):
        try:
            pruned = _pruned(model, function)
        except RockpressError as error:
            print(f"{file.stem} pruned {form}: {error}", file=sys.stderr)
            continue
        pair = _built(file.stem, f"pruned {form}", _scaled(pruned), target, oracle)
        yield replace(pair, form=f"{pair.form}, {pair.built_ms / before - 1:+.1%}")


def _built(name: str, form: str, model: ModelProto, target: Target, oracle: Oracle) -> TablePair:
    table = oracle.layers(model, target.name)
    return table_pair(name, form, table, predicted_layers(model, target), target)


def _prepared(file: Path, size: str) -> ModelProto:
    model = load_model(file)
    usual = (1, 3, *map(int, size.split("x")))
    free = {
        name: tuple(
            axis if isinstance(axis, int) else other
            for axis, other in zip(shape, usual, strict=True)
        )
        for name, shape in input_shapes_of(model).items()
        if len(shape) == 4 and not all(isinstance(axis, int) for axis in shape)
    }
    return prepare_model(model, free)


def _samples(model: ModelProto, count: int) -> list[Feeds]:
    random = np.random.default_rng(0)
    shapes = fixed_input_shapes(model)
    return [
        {name: random.random(shape, np.float32) for name, shape in shapes.items()}
        for _ in range(count)
    ]


def _scaled(model: ModelProto) -> ModelProto:
    """Return the model in int8 with scales from noise: the time does not depend on them."""
    with tempfile.TemporaryDirectory() as folder:
        file, plan = Path(folder) / "q.onnx", Path(folder) / "plan.toml"
        quantize(model, file, plan, _samples(model, 4), method="min-max")
        return load_model(file)


def _pruned(model: ModelProto, cost: CostFunction) -> ModelProto:
    method = PruneMethod(criterion="magnitude", recover="none")
    pruner = Pruner(model, _samples(model, 8), cost=cost, method=method)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "pruned.onnx"
        pruner.prune(Budget("latency", _SHARE), file)
        return prepare_model(load_model(file))


def _shown(pairs: Iterator[TablePair]) -> list[TablePair]:
    """Print every pair as it comes, and return all."""
    shown = []
    for pair in pairs:
        times = f"{pair.built_ms:.2f} | {pair.predicted_ms:.2f} | {pair.error:+.1%}"
        row = f"| {pair.model} | {pair.form} | {times} | {pair.matched} of {pair.rows} |"
        print(row, flush=True)
        shown.append(pair)
    return shown


def _summary(pairs: Sequence[TablePair]) -> str:
    errors = [abs(pair.error) for pair in pairs]
    rows = sum(pair.matched for pair in pairs) / sum(pair.rows for pair in pairs)
    return (
        f"{len(pairs)} tables: mean {fmean(errors):.2%}, median {median(errors):.2%}, "
        f"worst {max(errors):.1%}, rows {rows:.1%}"
    )


def main() -> int:
    """Print the stored tables, or builds of the models given."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chip", choices=CHIPS)
    parser.add_argument("--size", default="320x320", metavar="HxW")
    parser.add_argument("models", nargs="*", type=Path, metavar="MODEL.onnx")
    asked = parser.parse_args()
    print(
        "| model | format | build, ms | predicted, ms | error | rows |\n|---|---|---|---|---|---|"
    )
    if not asked.models:
        print(_summary(_shown(stored_pairs(chips=[asked.chip] if asked.chip else CHIPS))))
        return 0
    target, pairs = find_target(asked.chip or "rk3588"), list[TablePair]()
    with Oracle() as oracle:
        for file in asked.models:
            try:
                pairs.extend(_shown(_built_pairs(file, asked.size, target, oracle)))
            except RockpressError as error:
                print(f"{file.stem}: {error}", file=sys.stderr)
    print(_summary(pairs))
    return 0


if __name__ == "__main__":
    sys.exit(main())
