"""A small detector head as exporters write it: boxes in pixels and scores joined in one output."""

from __future__ import annotations

import numpy as np
from onnx import ModelProto

from graphs import Samples, Weights, model_of, random_feeds

CLASSES, BINS, CELLS = 5, 4, 64 + 16
# distances as the mean of a distribution over bins, then corners about each cell's middle, in
# pixels: what Ultralytics exports, with 4 bins and two scales
_HEAD = """(float[1,3,16,16] x) => (float[1,9,80] y) {
    s = Conv <pads = [1,1,1,1], strides = [2,2]> (x, ws, bs) f0 = Relu (s)
    t = Conv <pads = [1,1,1,1], strides = [2,2]> (f0, wt, bt) f1 = Relu (t)
    b0 = Conv (f0, wb, bb) c0 = Conv (f0, wc, bc)
    b1 = Conv (f1, wb, bb) c1 = Conv (f1, wc, bc)
    j0 = Concat <axis = 1> (b0, c0) j1 = Concat <axis = 1> (b1, c1)
    r0 = Reshape (j0, flat) r1 = Reshape (j1, flat)
    levels = Concat <axis = 2> (r0, r1)
    distances, logits = Split <axis = 1> (levels, sizes)
    d4 = Reshape (distances, by_bin) dt = Transpose <perm = [0, 2, 1, 3]> (d4)
    odds = Softmax <axis = 1> (dt) mean = Conv (odds, bins) ltrb = Reshape (mean, four)
    lt, rb = Split <axis = 1> (ltrb, halves)
    low = Sub (grid, lt) high = Add (grid, rb)
    both = Add (low, high) middle = Div (both, two) size = Sub (high, low)
    cells = Concat <axis = 1> (middle, size) boxes = Mul (cells, strides)
    scores = Sigmoid (logits)
    y = Concat <axis = 1> (boxes, scores) }"""


def detector(*, prepared: bool = True, scores_at: float = -6.0) -> ModelProto:
    """Return the head behind two convolutions: x 1x3x16x16 -> y 1x(4 boxes + 5 scores)x80."""
    return model_of(_HEAD, _weights(scores_at), prepared=prepared)


def _weights(scores_at: float = -6.0) -> Weights:
    grids = [np.indices((side, side)).reshape(2, -1)[::-1] + 0.5 for side in (8, 4)]
    return {
        **{"ws": (16, 3, 3, 3), "bs": (16,), "wt": (16, 16, 3, 3), "bt": (16,)},
        **{"wb": (4 * BINS, 16, 1, 1), "bb": (4 * BINS,), "wc": (CLASSES, 16, 1, 1)},
        "bc": np.full(CLASSES, scores_at),
        "flat": np.array([1, 4 * BINS + CLASSES, -1]),
        "sizes": np.array([4 * BINS, CLASSES]),
        "by_bin": np.array([1, 4, BINS, CELLS]),
        "bins": np.arange(BINS, dtype=np.float64).reshape(1, BINS, 1, 1),
        "four": np.array([1, 4, CELLS]),
        "halves": np.array([2, 2]),
        "grid": np.concatenate(grids, axis=1)[None],
        "strides": np.repeat([[8.0, 16.0]], [64, 16], axis=1),
        "two": np.array(2.0),
    }


def scenes(model: ModelProto, count: int, seed: int = 0) -> Samples:
    """Return samples for the detector, a few of which make scores above a half."""
    return random_feeds(model, count, seed, scale=2.0)


# as YOLOX is exported: each scale joined first, decoded by slices of all of them
_YOLOX = """(float[1,3,16,16] x) => (float[1,80,10] y) {
    s = Conv <pads = [1,1,1,1], strides = [2,2]> (x, ws, bs) f0 = Relu (s)
    t = Conv <pads = [1,1,1,1], strides = [2,2]> (f0, wt, bt) f1 = Relu (t)
    b0 = Conv (f0, wb, bb) o0 = Conv (f0, wo, bo) c0 = Conv (f0, wc, bc)
    b1 = Conv (f1, wb, bb) o1 = Conv (f1, wo, bo) c1 = Conv (f1, wc, bc)
    so0 = Sigmoid (o0) sc0 = Sigmoid (c0) so1 = Sigmoid (o1) sc1 = Sigmoid (c1)
    j0 = Concat <axis = 1> (b0, so0, sc0) j1 = Concat <axis = 1> (b1, so1, sc1)
    r0 = Reshape (j0, flat) r1 = Reshape (j1, flat)
    levels = Concat <axis = 2> (r0, r1) rows = Transpose <perm = [0, 2, 1]> (levels)
    xy = Slice (rows, from0, from2, from2) wh = Slice (rows, from2, from4, from2)
    scores = Slice (rows, from4, end, from2)
    place = Add (xy, grid) middle = Mul (place, strides)
    sides = Exp (wh) size = Mul (sides, strides)
    y = Concat <axis = 2> (middle, size, scores) }"""


def yolox() -> ModelProto:
    """Return a head like YOLOX's: x 1x3x16x16 -> y 1x80x(4 boxes + objectness + 5 scores)."""
    grids = [np.indices((side, side)).reshape(2, -1)[::-1] for side in (8, 4)]
    weights = {
        **{"ws": (16, 3, 3, 3), "bs": (16,), "wt": (16, 16, 3, 3), "bt": (16,)},
        **{"wb": (4, 16, 1, 1), "bb": np.zeros(4), "wo": (1, 16, 1, 1), "wc": (CLASSES, 16, 1, 1)},
        **{"bo": np.full(1, -3.0), "bc": np.full(CLASSES, -3.0)},
        "flat": np.array([1, 5 + CLASSES, -1]),
        **{"from0": np.array([0]), "from2": np.array([2]), "from4": np.array([4])},
        "end": np.array([2**31]),
        "grid": np.concatenate(grids, axis=1).T[None].astype(np.float64),
        "strides": np.repeat([8.0, 16.0], [64, 16])[None, :, None],
    }
    return model_of(_YOLOX, weights)


# as YOLOv10 and later select inside: the best cells, with their boxes, score and class
_SELECTED = """heads = Concat <axis = 1> (boxes, scores)
    rows = Transpose <perm = [0, 2, 1]> (heads) corners, odds_of = Split <axis = 2> (rows, parts)
    best = ReduceMax <axes = [2], keepdims = 0> (odds_of)
    values, cells_of = TopK <axis = 1> (best, ten)
    column = Unsqueeze (cells_of, last) wide = Tile (column, four_times)
    picked = GatherElements <axis = 1> (corners, wide) score = Unsqueeze (values, last)
    y = Concat <axis = 2> (picked, score) }"""


def end_to_end() -> ModelProto:
    """Return the detector with the selection inside: x 1x3x16x16 -> y 1x10x(4 boxes + score)."""
    text = _HEAD.replace("y = Concat <axis = 1> (boxes, scores) }", _SELECTED)
    numbers = {"parts": [4, CLASSES], "ten": [10], "last": [-1], "four_times": [1, 1, 4]}
    more = {name: np.array(values) for name, values in numbers.items()}
    return model_of(text.replace("[1,9,80] y", "[1,10,5] y"), {**_weights(), **more})
