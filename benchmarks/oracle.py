"""How many small models a second the cycle oracle answers for, beside one conversion each.

    python benchmarks/oracle.py [--count N] [--target rk3588]

Convolutions of different widths, each compiled by a warm child process (Oracle) and by a process
of its own (convert), one after the other; then the warm ones asked again, from memory. What counts
are the ratios: the figures depend on the machine and on what else it does.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto, helper, numpy_helper

from rockpress.convert.convert import convert
from rockpress.convert.oracle import Oracle
from rockpress.convert.request import ConversionRequest

_SIZE = 28


def convolution(cin: int) -> ModelProto:
    """Return a 3x3 convolution cin -> 64 on 28x28."""
    weight = np.random.default_rng(cin).normal(size=(64, cin, 3, 3)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["y"], pads=[1] * 4)],
        "convolution",
        [helper.make_tensor_value_info("x", 1, [1, cin, _SIZE, _SIZE])],
        [helper.make_tensor_value_info("y", 1, [1, 64, _SIZE, _SIZE])],
        [numpy_helper.from_array(weight, "w")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def cold(models: list[ModelProto], target: str) -> tuple[float, list[int]]:
    """Return seconds and cycles with a process for each model."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        cycles_of = []
        started = time.monotonic()
        for model in models:
            onnx.save(model, path)
            cycles_of.append(convert(ConversionRequest(path, None, target, probe=False)).cycles)
        return time.monotonic() - started, cycles_of


def warm(
    oracle: Oracle, models: list[ModelProto], target: str, dtype: str
) -> tuple[float, list[int]]:
    """Return seconds and cycles of an oracle."""
    started = time.monotonic()
    cycles_of = [oracle.cycles(model, target, dtype) for model in models]
    return time.monotonic() - started, cycles_of


def main() -> None:
    """Print models a second of each way."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--target", default="rk3588")
    options = parser.parse_args()
    models = [convolution(16 + index) for index in range(options.count)]
    sample = models[: max(1, options.count // 5)]
    with Oracle() as oracle:
        oracle.cycles(convolution(8), options.target)  # starts the child
        rows = [("oracle, int8", *warm(oracle, models, options.target, "int8"), len(models))]
        half, in_half = warm(oracle, models, options.target, "float16")
        rows.append(("oracle, float16", half, in_half, len(models)))
        again = warm(oracle, models, options.target, "int8")
        rows.append(("oracle, int8 again", *again, len(models)))
    alone, in_alone = cold(sample, options.target)
    rows.append(("convert, float16", alone, in_alone, len(sample)))
    if in_alone != in_half[: len(sample)]:
        raise SystemExit("the two ways disagree about the cycles")
    slowest = len(sample) / alone
    for name, seconds, _, count in rows:
        rate = count / seconds
        print(f"{name:20} {rate:9.1f} models/s   {rate / slowest:8.1f} times convert")


if __name__ == "__main__":
    main()
