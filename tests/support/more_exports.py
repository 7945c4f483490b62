"""Detectors of other exporters than Ultralytics, small, for 3x64x64 images; see exports.py."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from onnx import ModelProto

from exports import CELLS, SIDE, STRIDES, cells, flattened, network

ANCHORS = ((4, 5), (8, 6), (10, 14), (20, 18), (24, 30), (40, 36), (50, 44), (60, 70), (90, 80))


def yolov5(
    *,
    classes: int = 3,
    anchors: Sequence[tuple[float, float]] = ANCHORS,
    decoded: bool = True,
    with_maps: bool = False,
) -> ModelProto:
    """Return export.py's (1, 3 cells, 5 + classes); or the rearranged maps of each scale, or both.

    Sides are (2 s)^2 anchor, as YOLOv5 and YOLOv7 have them.
    """
    each = 5 + classes
    tail, constants, shapes = "", dict[str, ArrayLike](), {}
    for scale, stride in enumerate(STRIDES):
        side = SIDE // stride
        grid = np.stack(np.meshgrid(np.arange(side), np.arange(side)), axis=2)[None, None]
        own = np.array(anchors[3 * scale : 3 * scale + 3], dtype=np.float64).reshape(1, 3, 1, 1, 2)
        constants |= {f"shape{scale}": [1, 3, each, side, side], f"stride{scale}": float(stride)}
        constants |= {
            f"grid{scale}": grid - 0.5,
            f"anchors{scale}": np.tile(own, (1, 1, side, side, 1)),
        }
        tail += f"""r{scale} = Reshape (b{scale}, shape{scale})
            m{scale} = Transpose <perm = [0, 1, 3, 4, 2]> (r{scale}) s{scale} = Sigmoid (m{scale})
            xy{scale}, wh{scale}, o{scale} = Split <axis = 4> (s{scale}, parts)
            x2{scale} = Mul (xy{scale}, two) xg{scale} = Add (x2{scale}, grid{scale})
            xs{scale} = Mul (xg{scale}, stride{scale}) w2{scale} = Mul (wh{scale}, two)
            ww{scale} = Pow (w2{scale}, two) wa{scale} = Mul (ww{scale}, anchors{scale})
            y{scale} = Concat <axis = 4> (xs{scale}, wa{scale}, o{scale})
            f{scale}y = Reshape (y{scale}, flat)
        """
        shapes[f"m{scale}"] = [1, 3, side, side, each]
    constants |= {"parts": [2, 2, each - 4], "two": 2.0, "flat": [1, -1, each]}
    tail += "y = Concat <axis = 1> (f0y, f1y, f2y)\n"
    outputs = {"y": [1, 3 * CELLS, each]} if decoded else {}
    return network(
        {"b": 3 * each},
        tail,
        {**outputs, **(shapes if with_maps or not decoded else {})},
        constants,
    )


def yolox(*, classes: int = 3, decoded: bool = False, joined: bool = True) -> ModelProto:
    """Return (1, cells, 5 + classes), shifts and logarithms unless ``decoded``.

    Without ``joined`` the three maps of each scale in one, (1, 5 + classes, side, side).
    """
    places, strides = cells()
    tail, maps = "", {"c": classes, "b": 4, "o": 1}
    for scale in range(3):
        tail += f"""sc{scale} = Sigmoid (c{scale}) so{scale} = Sigmoid (o{scale})
            m{scale} = Concat <axis = 1> (b{scale}, so{scale}, sc{scale})
        """
    if not joined:
        shapes = {f"m{i}": [1, 5 + classes, SIDE // s, SIDE // s] for i, s in enumerate(STRIDES)}
        return network(maps, tail, shapes)
    tail += flattened("m")
    tail += f"{'rows' if decoded else 'y'} = Transpose <perm = [0, 2, 1]> (m)\n"
    if decoded:
        tail += """xy, wh, odds = Split <axis = 2> (rows, parts) placed = Add (xy, grid)
            middle = Mul (placed, strides) grown = Exp (wh) size = Mul (grown, strides)
            y = Concat <axis = 2> (middle, size, odds)
        """
    constants: dict[str, ArrayLike] = {
        **{"mflat": [1, 5 + classes, -1], "parts": [2, 2, 1 + classes]},
        **{"grid": places.T[None], "strides": strides[None, :, None]},
    }
    return network(maps, tail, {"y": [1, CELLS, 5 + classes]}, constants)


def _distances(bins: int, axis: str = "b") -> str:
    """Return lines from the joined maps of sides to ``corners`` (1, 4, cells) in pixels."""
    means = f"ltrb = Identity ({axis})\n"
    if bins > 1:
        means = f"""d4 = Reshape ({axis}, bybin) dt = Transpose <perm = [0, 2, 1, 3]> (d4)
            odds = Softmax <axis = 1> (dt) mean = Conv (odds, bins) ltrb = Reshape (mean, four)
        """
    return f"""{means} lt, rb = Split <axis = 1> (ltrb, halves)
        low = Sub (grid, lt) high = Add (grid, rb)
        ends = Concat <axis = 1> (low, high) corners = Mul (ends, strides)
    """


def _distance_constants(bins: int, classes: int) -> dict[str, ArrayLike]:
    places, strides = cells()
    return {
        **{"bflat": [1, 4 * bins, -1], "cflat": [1, classes, -1], "halves": [2, 2], "two": 2.0},
        **{"bybin": [1, 4, bins, CELLS], "four": [1, 4, CELLS]},
        **{"bins": np.arange(bins, dtype=np.float64).reshape(1, bins, 1, 1)},
        **{"grid": places[None] + 0.5, "strides": strides[None, None]},
    }


def yolov6(*, bins: int = 17, classes: int = 3) -> ModelProto:
    """Return (1, cells, 5 + classes): centre, sides, ones, classes."""
    tail = f"""{flattened("b")}{flattened("c")}{_distances(bins)}
        from_, to = Split <axis = 1> (corners, halves)
        sum = Add (from_, to) middle = Div (sum, two) size = Sub (to, from_)
        scores = Sigmoid (c) columns = Concat <axis = 1> (middle, size, ones, scores)
        y = Transpose <perm = [0, 2, 1]> (columns)
    """
    constants = {**_distance_constants(bins, classes), "ones": np.ones((1, 1, CELLS))}
    outputs = {"y": [1, CELLS, 5 + classes]}
    return network({"b": 4 * bins, "c": classes}, tail, outputs, constants)


def pp_yoloe(*, classes: int = 3, selects: bool = False) -> ModelProto:
    """Return boxes (1, cells, 4) and scores (1, classes, cells).

    One that ``selects`` boxes itself takes the scale of the image too, and gives what is left.
    """
    tail = f"""{flattened("b")}{flattened("c")}{_distances(17)}
        y = Transpose <perm = [0, 2, 1]> (corners) z = Sigmoid (c)
    """
    outputs: dict[str, list[int | str]] = {"y": [1, CELLS, 4], "z": [1, classes, CELLS]}
    constants, inputs = _distance_constants(17, classes), ""
    if selects:
        tail += """pair = Concat <axis = 1> (scale_factor, scale_factor)
            sides = Reshape (pair, row) there = Div (y, sides)
            best = NonMaxSuppression (there, z, most, overlap) left = Cast <to = 1> (best)
        """
        outputs, inputs = {"left": ["n", 3]}, ", float[1,2] scale_factor"
        constants |= {"row": [1, 1, 4], "most": [100], "overlap": [0.5]}
    return network({"b": 68, "c": classes}, tail, outputs, constants, inputs=inputs)


def picodet(*, classes: int = 3) -> ModelProto:
    """Return rows of classes, and of distances in 8 bins a side, of four scales."""
    tail, outputs = "", dict[str, list[int]]()
    for scale, side in enumerate((8, 4, 2, 1)):
        tail += f"""c{scale}, d{scale} = Split <axis = 1> (m{scale}, parts)
            s{scale} = Sigmoid (c{scale}) cr{scale} = Reshape (s{scale}, crows)
            dr{scale} = Reshape (d{scale}, drows)
            y{scale} = Transpose <perm = [0, 2, 1]> (cr{scale})
            z{scale} = Transpose <perm = [0, 2, 1]> (dr{scale})
        """
        outputs |= {f"y{scale}": [1, side * side, classes], f"z{scale}": [1, side * side, 32]}
    constants = {"parts": [classes, 32], "crows": [1, classes, -1], "drows": [1, 32, -1]}
    return network({"m": classes + 32}, tail, outputs, constants, scales=4)


def retinaface() -> ModelProto:
    """Return boxes (1, A, 4), no face and face (1, A, 2) and landmarks (1, A, 10)."""
    tail, numbers = "", {"b": 4, "c": 2, "l": 10}
    for name in numbers:
        for scale in range(3):
            tail += f"""{name}t{scale} = Transpose <perm = [0, 2, 3, 1]> ({name}{scale})
                {name}r{scale} = Reshape ({name}t{scale}, {name}rows)
            """
        tail += f"{name}j = Concat <axis = 1> ({name}r0, {name}r1, {name}r2)\n"
    tail += "y = Identity (bj) z = Softmax <axis = 2> (cj) w = Identity (lj)\n"
    shapes = {out: [1, 2 * CELLS, n] for out, n in zip("yzw", (4, 2, 10), strict=True)}
    constants = {f"{name}rows": [1, -1, count] for name, count in numbers.items()}
    return network({name: 2 * count for name, count in numbers.items()}, tail, shapes, constants)


def scrfd(*, landmarks: bool = True, batched: bool = True) -> ModelProto:
    """Return scores, boxes and landmarks of two anchors a cell, each scale apart."""
    tail, shapes = "", dict[str, list[int]]()
    numbers = {"c": 1, "b": 4, **({"l": 10} if landmarks else {})}
    for name, count in numbers.items():
        for scale, stride in enumerate(STRIDES):
            last = "Sigmoid" if name == "c" else "Identity"
            tail += f"""{name}t{scale} = Transpose <perm = [0, 2, 3, 1]> ({name}{scale})
                {name}r{scale} = Reshape ({name}t{scale}, {name}rows)
                {name}y{scale} = {last} ({name}r{scale})
            """
            rows = [2 * (SIDE // stride) ** 2, count]
            shapes[f"{name}y{scale}"] = [1, *rows] if batched else rows
    first = [1, -1] if batched else [-1]
    constants = {f"{name}rows": [*first, count] for name, count in numbers.items()}
    return network({name: 2 * count for name, count in numbers.items()}, tail, shapes, constants)
