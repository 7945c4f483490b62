"""What is joined and split again is taken apart, and nothing else; values stay bit for bit."""

import numpy as np
import pytest
from onnx import ModelProto

from graphs import Weights, model_of, random_feeds
from rockpress.core.graphs.graph import Graph
from rockpress.core.passes.prepare import prepare_model
from rockpress.core.session import Session

HEADS = """
    b0 = Conv (x, wb) c0 = Conv (x, wc)
    y = MaxPool <kernel_shape = [2,2], strides = [2,2]> (x)
    b1 = Conv (y, wb) c1 = Conv (y, wc)
    j0 = Concat <axis = 1> (b0, c0) j1 = Concat <axis = 1> (b1, c1) """
LEVELS = """
    r0 = Reshape (j0, flat) r1 = Reshape (j1, flat)
    levels = Concat <axis = 2> (r0, r1) """
WEIGHTS: Weights = {
    "wb": (4, 3, 1, 1),
    "wc": (5, 3, 1, 1),
    "flat": np.array([1, 9, -1]),
    "sizes": np.array([4, 5]),
    "four": np.array([4]),
    "two": np.array([2]),
    "zero": np.array([0]),
    "end": np.array([2**31]),
    "one": np.array([1]),
    "odd": np.array([3, 6]),
}
UNTANGLED = {
    "split": "boxes, scores = Split <axis = 1> (levels, sizes)",
    "slices": """boxes = Slice (levels, zero, four, one)
        scores = Slice (levels, four, end, one)""",
    "a slice in a part": """xy = Slice (levels, zero, two, one) wh = Slice (levels, two, four, one)
        boxes = Concat <axis = 1> (wh, xy) scores = Slice (levels, four, end, one, one)""",
    "transposed": """t = Transpose <perm = [0, 2, 1]> (levels)
        boxes, scores = Split <axis = 2> (t, sizes)""",
}


def tangled(tail: str, outputs: str = "float[a,b,c] boxes, float[d,e,f] scores") -> ModelProto:
    text = f"(float[1,3,8,8] x) => ({outputs}) {{ {HEADS} {LEVELS} {tail} }}"
    return model_of(text, WEIGHTS, prepared=False)


def joined_of(model: ModelProto) -> list[set[int]]:
    """Return of every Concat the sizes of what it joins."""
    graph = Graph(model)
    return [
        {graph.shapes[name][1] for name in node.input}
        for node in graph.nodes
        if node.op_type == "Concat"
    ]


@pytest.mark.parametrize("tail", UNTANGLED.values(), ids=UNTANGLED)
def test_parts_go_their_own_way_with_the_same_values(tail: str) -> None:
    model = tangled(tail)
    prepared = prepare_model(model)
    assert {4, 5} not in joined_of(prepared)
    assert not {9} & {shape[1] for shape in Graph(prepared).shapes.values() if len(shape) > 1}
    for feeds in random_feeds(model, 2):
        expected = Session(model, optimise=False).run(feeds)
        for got, wanted in zip(Session(prepared, optimise=False).run(feeds), expected, strict=True):
            np.testing.assert_array_equal(got, wanted)


KEPT = {
    "split elsewhere": "boxes, scores = Split <axis = 1> (levels, odd)",
    "read by another": """boxes, other = Split <axis = 1> (levels, sizes)
        scores = Relu (levels)""",
    "along the levels": """boxes = Slice (levels, zero, four, two)
        scores = Slice (levels, four, end, two)""",
}


@pytest.mark.parametrize("tail", KEPT.values(), ids=KEPT)
def test_what_is_not_split_where_it_was_joined_stays(tail: str) -> None:
    prepared = prepare_model(tangled(tail))
    assert {4, 5} in joined_of(prepared)


def test_a_join_that_is_an_output_stays() -> None:
    tail = "boxes, scores = Split <axis = 1> (levels, sizes)"
    outputs = "float[a,b,c] boxes, float[d,e,f] scores, float[g,h,i] levels"
    assert {4, 5} in joined_of(prepare_model(tangled(tail, outputs)))


@pytest.mark.parametrize("seed", range(6))
def test_random_moves_between_join_and_split(seed: int) -> None:
    """Joins of random sizes, moved at random: values and output names stay, the join goes."""
    random = np.random.default_rng(seed)
    sizes = random.integers(1, 5, 3)
    axis, nodes, name = 1, [], "joined"
    for step in range(int(random.integers(1, 4))):
        order = random.permutation(4)
        nodes.append(f"t{step} = Transpose <perm = {order.tolist()}> ({name})")
        axis, name = int(np.flatnonzero(order == axis)[0]), f"t{step}"
    kernels = " ".join(f"p{i} = Conv (x, w{i})" for i in range(3))
    text = f"""(float[1,3,4,4] x) => (float[a,b,c,d] y0, float[e,f,g,h] y1, float[i,j,k,l] y2)
        {{ {kernels} joined = Concat <axis = 1> (p0, p1, p2) {" ".join(nodes)}
        y0, y1, y2 = Split <axis = {axis}> ({name}, sizes) }}"""
    weights = {f"w{i}": (int(size), 3, 1, 1) for i, size in enumerate(sizes)}
    model = model_of(text, {**weights, "sizes": sizes}, prepared=False)
    prepared = prepare_model(model)
    assert "Concat" not in {node.op_type for node in prepared.graph.node}
    (feeds,) = random_feeds(model, 1)
    outputs = [Session(form, optimise=False).run(feeds) for form in (model, prepared)]
    for wanted, got in zip(*outputs, strict=True):
        np.testing.assert_array_equal(got, wanted)
