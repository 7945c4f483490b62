"""Detectors in the form that exporters write, small, with random weights, for 3x64x64 images.

Three scales of 8x8, 4x4 and 2x2 cells: strides of 8, 16 and 32 pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike
from onnx import ModelProto

from graphs import model_of
from rockpress.core.types import Array

SIDE, STRIDES = 64, (8, 16, 32)
CELLS = sum((SIDE // stride) ** 2 for stride in STRIDES)
_FEATURES = """f0c = Conv <strides = [8,8]> (x, w0, w0b) f0 = Relu (f0c)
    f1c = Conv <strides = [2,2]> (f0, w1, w1b) f1 = Relu (f1c)
    f2c = Conv <strides = [2,2]> (f1, w2, w2b) f2 = Relu (f2c)
    f3c = Conv <strides = [2,2]> (f2, w3, w3b) f3 = Relu (f3c)
"""
_WEIGHTS: dict[str, tuple[int, ...]] = {
    **{"w0": (8, 3, 8, 8), "w1": (8, 8, 2, 2), "w2": (8, 8, 2, 2), "w3": (8, 8, 2, 2)},
    **{name: (8,) for name in ("w0b", "w1b", "w2b", "w3b")},
}


def with_metadata(model: ModelProto, **entries: str) -> ModelProto:
    """Return the model with these entries of metadata added."""
    for key, value in entries.items():
        model.metadata_props.add(key=key, value=value)
    return model


def network(
    maps: Mapping[str, int],
    tail: str,
    outputs: Mapping[str, Sequence[int | str]],
    constants: Mapping[str, ArrayLike] | None = None,
    *,
    scales: int = 3,
    inputs: str = "",
) -> ModelProto:
    """Return a model with a convolution for each of the ``maps`` (name -> channels) and scale.

    Those are called b0, b1 and b2 for a map "b"; ``tail`` computes the ``outputs`` of them and of
    more ``inputs``.
    """
    heads = "".join(
        f"{name}{scale} = Conv (f{scale}, {name}{scale}w, {name}{scale}v)\n"
        for scale in range(scales)
        for name in maps
    )
    weights = {
        f"{name}{scale}{part}": (count, 8, 1, 1) if part == "w" else (count,)
        for name, count in maps.items()
        for scale in range(scales)
        for part in "wv"
    }
    types = ", ".join(f"float[{','.join(map(str, dims))}] {out}" for out, dims in outputs.items())
    text = f"(float[1,3,{SIDE},{SIDE}] x{inputs}) => ({types}) {{ {_FEATURES}{heads}{tail} }}"
    values = {name: np.asarray(value) for name, value in (constants or {}).items()}
    return model_of(text, {**_WEIGHTS, **weights, **values}, prepared=False)


def flattened(name: str, axes: str = "flat") -> str:
    """Return lines that join the maps of a name: to ``name`` (1, channels, cells)."""
    parts = [f"{name}{scale}f = Reshape ({name}{scale}, {name}{axes})" for scale in range(3)]
    return "\n".join([*parts, f"{name} = Concat <axis = 2> ({name}0f, {name}1f, {name}2f)\n"])


def cells() -> tuple[Array, Array]:
    """Return the places of all cells (2, cells) as x, y, and their strides (cells,)."""
    sides = [SIDE // stride for stride in STRIDES]
    places = [np.indices((side, side)).reshape(2, -1)[::-1] for side in sides]
    strides = np.repeat(STRIDES, [side * side for side in sides])
    return np.concatenate(places, axis=1).astype(np.float64), strides.astype(np.float64)


def ultralytics(
    *, bins: int = 16, classes: int = 3, extras: int = 0, masks: bool = False, selects: bool = False
) -> ModelProto:
    """Return what the ultralytics package exports: (1, 4 + classes + extras, cells), or (1, 10, 6).

    ``bins`` of 1 is YOLO26. With ``masks`` there are prototypes of masks too.
    """
    places, strides = cells()
    maps = {"b": 4 * bins, "c": classes, **({"e": extras} if extras else {})}
    constants: dict[str, ArrayLike] = {
        **{f"{name}flat": [1, count, -1] for name, count in maps.items()},
        **{"bybin": [1, 4, bins, CELLS], "four": [1, 4, CELLS], "halves": [2, 2], "two": 2.0},
        **{"bins": np.arange(bins, dtype=np.float64).reshape(1, bins, 1, 1)},
        **{"grid": places[None] + 0.5, "strides": strides[None, None]},
    }
    distances = "ltrb = Identity (b)\n"
    if bins > 1:
        distances = """d4 = Reshape (b, bybin) dt = Transpose <perm = [0, 2, 1, 3]> (d4)
            odds = Softmax <axis = 1> (dt) mean = Conv (odds, bins) ltrb = Reshape (mean, four)
        """
    decoded = """lt, rb = Split <axis = 1> (ltrb, halves) low = Sub (grid, lt) high = Add (grid, rb)
        both = Add (low, high) middle = Div (both, two) size = Sub (high, low)
        scores = Sigmoid (c)
    """
    joins = "".join(flattened(name) for name in maps)
    last = ", ".join(["boxes", "scores", *(["e"] if extras else [])])
    tail = f"""{joins}{distances}{decoded}
        placed = Concat <axis = 1> (middle, size) boxes = Mul (placed, strides)
        y = Concat <axis = 1> ({last})
    """
    outputs = {"y": [1, 4 + classes + extras, CELLS]}
    if selects:
        tail, more = _selection(f"{joins}{distances}{decoded}")
        outputs, constants = {"y": [1, 10, 6]}, {**constants, **more}
    if masks:
        tail += "pc = ConvTranspose <strides = [2,2]> (f0, pw, pv) p = Relu (pc)\n"
        outputs["p"] = [1, extras, 16, 16]
        constants |= {"pw": np.ones((8, extras, 2, 2)), "pv": np.zeros(extras)}
    return network(maps, tail, outputs, constants)


def _selection(decoded: str) -> tuple[str, dict[str, ArrayLike]]:
    """Return the tail of a model without non-maximum suppression, and its constants."""
    tail = f"""{decoded}
        corners = Concat <axis = 1> (low, high) boxes = Mul (corners, strides)
        rows = Transpose <perm = [0, 2, 1]> (boxes) odds_of = Transpose <perm = [0, 2, 1]> (scores)
        best = ReduceMax <axes = [2], keepdims = 0> (odds_of)
        kind = ArgMax <axis = 2, keepdims = 0> (odds_of)
        values, places = TopK <axis = 1> (best, ten)
        column = Unsqueeze (places, last) wide = Tile (column, fourfold)
        picked = GatherElements <axis = 1> (rows, wide) score = Unsqueeze (values, last)
        class_of = GatherElements <axis = 1> (kind, places) number = Cast <to = 1> (class_of)
        class_row = Unsqueeze (number, last)
        y = Concat <axis = 2> (picked, score, class_row)
    """
    return tail, {"ten": [10], "last": [-1], "fourfold": [1, 1, 4]}
