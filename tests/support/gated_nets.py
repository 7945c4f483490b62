"""Networks with SiLU, HardSwish and the like between two convolutions, and what becomes of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto

from graphs import Weights, model_of
from rockpress.convert.convert import Conversion
from rockpress.core.types import Float32
from rockpress.pipeline.convert_file import convert_file
from rockpress.pipeline.quantize_file import quantize_file
from rockpress.pipeline.recipes.recipe import make_recipe

_HEAD = "(float[1,4,9,9] x) => (float[1,4,9,9] y)"
_FIRST = "c = Conv <pads=[1,1,1,1]> (x, w, b)"
_NUMBERS = {
    **{"zero": 0, "half": 0.5, "one": 1, "two": 2, "three": 3, "six": 6},
    **{"root": 2**0.5, "inverse": 0.5**0.5},
}
WEIGHTS: Weights = {
    **{"w": (8, 4, 3, 3), "b": (8,), "v": (4, 8, 1, 1), "u": (4, 8, 1, 1)},
    **{name: np.float32(value) for name, value in _NUMBERS.items()},
}


def gated_net(nodes: str, *, prepared: bool = True) -> ModelProto:
    """Return the model x 1x4x9x9 -> y that has these ``nodes`` after a convolution x -> c.

    They may read the weights v and u of two more, 8 -> 4 channels, and numbers by their names,
    root being that of two and inverse one over it.
    """
    return model_of(f"{_HEAD} {{ {_FIRST} {nodes} }}", WEIGHTS, prepared=prepared)


def converted(nodes: str, level: int, folder: Path) -> tuple[Conversion, Path, Float32]:
    """Return what the toolkit makes at a ``level`` of such a net in int8, the QDQ, 8 samples."""
    onnx.save(gated_net(nodes, prepared=False), folder / "m.onnx")
    samples = np.random.default_rng(1).normal(size=(8, 4, 9, 9)).astype(np.float32)
    calib, qdq = folder / "x.npz", folder / "q.onnx"
    np.savez(calib, x=samples)
    quantize_file(make_recipe(folder / "m.onnx", calib=calib, method="min-max", mixed="off"), qdq)
    again = make_recipe(qdq, calib=calib, toolkit_level=level)
    return convert_file(again, folder / "m.rknn"), qdq, samples
