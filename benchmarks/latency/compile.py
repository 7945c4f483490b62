"""Build every architecture, convert it for every chip, and keep the compiler's layer tables.

What is in tables/ already is not built again; delete a file there to have it made anew. From the
repository's root:

    OMP_NUM_THREADS=1 python -m benchmarks.latency.compile [--chip CHIP ...] [MODEL ...]
        [--toolkit-python PATH]   another toolkit's interpreter, see benchmarks/toolkit-2.3.2.txt

A model is compiled in the number format that it was published in, or in the one that follows its
name: yolov8n-fp16, lprnet-int8.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from rockpress.convert.chips.targets import TARGET_NAMES
from rockpress.convert.convert import Conversion, convert
from rockpress.convert.request import ConversionRequest, ToolkitSettings
from rockpress.convert.toolkit.environment import toolkit_version
from rockpress.convert.toolkit.job import ToolkitPlan
from rockpress.core.errors import RockpressError
from rockpress.core.graphs.model import save_model

from .architectures import ARCHITECTURES
from .graph import FLOAT16
from .records import CHIPS, Published, add_table, read_published, read_tables

_NO_PIXELS = {"ppocrv4_rec"}  # the published conversion leaves mean and std to the caller
_UNPUBLISHED = {"yolo11n-pose": "yolo11n"}  # no frames per second; input and format as another's


def compile_model(
    network: Published, file: Path, chip: str, toolkit: ToolkitSettings
) -> Conversion:
    """Return the build of a network, in int8 with one random sample or in float16, as published.

    An int8 network may have a part that was published in float16.
    """
    pixels = len(network.shape) == 4 and network.shape[1] == 3 and network.model not in _NO_PIXELS
    sample = np.random.default_rng(0).integers(0, 256, (1, *network.shape[2:], 3), np.uint8)
    plan = _float16_part(file)
    return convert(
        ConversionRequest(
            file,
            None,
            chip,
            quantization=("hybrid" if plan else "normal") if network.dtype == "int8" else "float16",
            plan=plan,
            mean=(0.0,) * 3 if pixels else None,
            std=(255.0,) * 3 if pixels else None,
            calibration=[{_input_name(file): sample}] if network.dtype == "int8" else (),
            toolkit=toolkit,
        )
    )


def _float16_part(file: Path) -> ToolkitPlan | None:
    import onnx

    metadata = {entry.key: entry.value for entry in onnx.load(file).metadata_props}
    names = metadata.get(FLOAT16, "").split()
    return ToolkitPlan({}, dict.fromkeys(names, "float16")) if names else None


def _input_name(file: Path) -> str:
    import onnx

    return str(onnx.load(file).graph.input[0].name)


def _compile_missing(
    network: Published, file: Path, chips: Sequence[str], toolkit: ToolkitSettings
) -> None:
    tables = read_tables(network.model, toolkit_version(toolkit.python) or "")
    missing = [chip for chip in chips if chip not in tables]
    if missing:
        save_model(ARCHITECTURES[_without_format(network.model)](), file)
    for chip in missing:
        try:
            conversion = compile_model(network, file, chip, toolkit)
        except RockpressError as error:
            print(f"{network.model:28}{chip:8}{error}", flush=True)
            continue
        add_table(network.model, chip, conversion.toolkit, conversion.layers)
        warnings = "; ".join(warning.text for warning in conversion.warnings)
        print(
            f"{network.model:28}{chip:8}{conversion.cycles / 1e6:8.2f} million cycles"
            f"{len(conversion.layers):5} layers{conversion.seconds:6.0f} s  {warnings[:200]}",
            flush=True,
        )


def _without_format(model: str) -> str:
    return model.removesuffix("-fp16").removesuffix("-int8")


def network_of(name: str) -> Published:
    """Return the published network under that name, in the format that follows the name."""
    published = {network.model: network for network in read_published()}
    model = _without_format(name)
    network = published[_UNPUBLISHED.get(model, model)]
    return replace(network, model=name, dtype=name[len(model) + 1 :] or network.dtype)


def main() -> int:
    """Compile what is missing, or of that the models and chips named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chip", action="append", choices=TARGET_NAMES)
    parser.add_argument("--toolkit-python", type=Path, metavar="PATH")
    parser.add_argument("models", nargs="*", metavar="MODEL")
    asked = parser.parse_args()
    toolkit = ToolkitSettings(python=asked.toolkit_python)
    with tempfile.TemporaryDirectory() as folder:
        for model in asked.models or ARCHITECTURES:
            file = Path(folder) / "model.onnx"
            _compile_missing(network_of(model), file, asked.chip or CHIPS, toolkit)
    return 0


if __name__ == "__main__":
    sys.exit(main())
