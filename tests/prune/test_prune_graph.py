"""Which channels belong together, and what is left of the graph when some are taken out."""

from __future__ import annotations

import numpy as np
import onnx
import onnx.parser
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import ArrayLike, NDArray
from onnx import ModelProto, NodeProto, numpy_helper

from graphs import Weights, model_of, random_feeds
from pruning import mark_removed
from rockpress.core.graphs.graph import Graph, attributes
from rockpress.core.passes.prepare import fixed_input_shapes
from rockpress.core.session import Session
from rockpress.prune.channels.channel_rules import RULES, build_dependency_graph
from rockpress.prune.channels.dependency_graph import DependencyGraph
from rockpress.prune.channels.groups import Group, find_groups
from rockpress.prune.channels.surgery import remove_channels


def ints(*values: int) -> NDArray[np.int64]:
    return np.array(values, dtype=np.int64)


def analysed(model: ModelProto) -> tuple[DependencyGraph, list[Group]]:
    dependency = build_dependency_graph(Graph(model))
    return dependency, find_groups(dependency)


def outputs(model: ModelProto) -> list[NDArray[np.float32]]:
    return Session(model).run(random_feeds(model, 1, seed=1)[0])


def check_pruned(model: ModelProto, small: ModelProto, *, equal: bool = False) -> None:
    onnx.checker.check_model(small, full_check=True)
    assert fixed_input_shapes(small) == fixed_input_shapes(model)
    for before, after in zip(outputs(model), outputs(small), strict=True):
        assert after.shape == before.shape
        if equal:
            np.testing.assert_allclose(after, before, atol=1e-5, rtol=1e-4)


def weight_count(model: ModelProto) -> int:
    return sum(int(np.prod(tensor.dims)) for tensor in model.graph.initializer)


def killed(dependency: DependencyGraph, removed: NDArray[np.bool_]) -> ModelProto:
    """The model with the weights that make the removed channels set to zero: they give zero."""
    model = ModelProto()
    model.CopyFrom(dependency.graph.model)
    for tensor in model.graph.initializer:
        value = numpy_helper.to_array(tensor).copy()
        for position, mask in enumerate(dependency.masks(tensor.name, removed)):
            if not reads_along(dependency.graph, tensor.name, position):
                value[(slice(None),) * position + (~mask,)] = 0
        tensor.CopyFrom(numpy_helper.from_array(value, tensor.name))
    return model


def reads_along(graph: Graph, weight: str, axis: int) -> bool:
    """Whether the axis of a weight holds the channels that a layer reads."""
    return any(
        list(node.input[1:2]) == [weight] and axis != output_axis(node)
        for node in graph.consumers[weight]
        if node.op_type in ("Conv", "ConvTranspose", "Gemm", "MatMul")
    )


def output_axis(node: NodeProto) -> int:
    settings = attributes(node)
    dense_transposed = node.op_type == "ConvTranspose" and settings.get("group", 1) == 1
    plain_gemm = node.op_type == "Gemm" and not settings.get("transB")
    return int(dense_transposed or plain_gemm or node.op_type == "MatMul")


# name -> (graph, weights, sizes of the groups of channels that can be removed)
CASES: dict[str, tuple[str, Weights, list[int]]] = {
    "plain": (
        """(float[1,3,8,8] x) => (float[1,4,8,8] y) {
            a = Conv <pads=[1,1,1,1]> (x, w1, b1)
            r = Relu (a)
            y = Conv (r, w2, b2) }""",
        {"w1": (8, 3, 3, 3), "b1": (8,), "w2": (4, 8, 1, 1), "b2": (4,)},
        [8],
    ),
    "residual": (
        """(float[1,3,8,8] x) => (float[1,4,8,8] y) {
            a = Conv <pads=[1,1,1,1]> (x, w1, b1)
            r = Relu (a)
            b = Conv <pads=[1,1,1,1]> (r, w2, b2)
            s = Relu (b)
            c = Conv <pads=[1,1,1,1]> (s, w3, b3)
            d = Add (c, r)
            t = Relu (d)
            y = Conv (t, w4) }""",
        {
            **{"w1": (8, 3, 3, 3), "b1": (8,), "w2": (6, 8, 3, 3), "b2": (6,)},
            **{"w3": (8, 6, 3, 3), "b3": (8,), "w4": (4, 8, 1, 1)},
        },
        [6, 8],
    ),
    "depthwise": (
        """(float[1,3,8,8] x) => (float[1,4,4,4] y) {
            a = Conv (x, w1, b1)
            r = Clip (a, zero, six)
            d = Conv <group=8, pads=[1,1,1,1], strides=[2,2]> (r, w2, b2)
            s = Clip (d, zero, six)
            y = Conv (s, w3, b3) }""",
        {
            **{"w1": (8, 3, 1, 1), "b1": (8,), "w2": (8, 1, 3, 3), "b2": (8,)},
            **{"w3": (4, 8, 1, 1), "b3": (4,)},
            **{"zero": np.array(0, np.float32), "six": np.array(6, np.float32)},
        },
        [8],
    ),
    "depthwise multiplier 2": (
        """(float[1,3,8,8] x) => (float[1,4,8,8] y) {
            a = Conv (x, w1, b1)
            d = Conv <group=8, pads=[1,1,1,1]> (a, w2, b2)
            s = Relu (d)
            y = Conv (s, w3) }""",
        {
            **{"w1": (8, 3, 1, 1), "b1": (8,), "w2": (16, 1, 3, 3), "b2": (16,)},
            "w3": (4, 16, 1, 1),
        },
        [8],
    ),
    "squeeze and excitation": (
        """(float[1,3,8,8] x) => (float[1,4,8,8] y) {
            a = Conv (x, w1, b1)
            r = HardSwish (a)
            p = GlobalAveragePool (r)
            q = Conv (p, w2, b2)
            s = Relu (q)
            g = Conv (s, w3, b3)
            h = HardSigmoid <alpha=0.1666667> (g)
            m = Mul (r, h)
            y = Conv (m, w4, b4) }""",
        {
            **{"w1": (8, 3, 1, 1), "b1": (8,), "w2": (4, 8, 1, 1), "b2": (4,)},
            **{"w3": (8, 4, 1, 1), "b3": (8,), "w4": (4, 8, 1, 1), "b4": (4,)},
        },
        [4, 8],
    ),
    "concat": (
        """(float[1,3,8,8] x) => (float[1,4,8,8] y) {
            a = Conv (x, w1, b1)
            b = Conv (x, w2, b2)
            c = Concat <axis=1> (a, b, x)
            d = BatchNormalization (c, scale, shift, mean, var)
            y = Conv (d, w3, b3) }""",
        {
            **{"w1": (8, 3, 1, 1), "b1": (8,), "w2": (6, 3, 1, 1), "b2": (6,)},
            **{"w3": (4, 17, 1, 1), "b3": (4,), "scale": (17,), "shift": (17,), "mean": (17,)},
            "var": np.linspace(0.5, 2, 17, dtype=np.float32),
        },
        [6, 8],
    ),
    "dense and depthwise ConvTranspose": (
        """(float[1,3,4,4] x) => (float[1,4,16,16] y) {
            a = Conv (x, w1, b1)
            t = ConvTranspose <strides=[2,2]> (a, w2, b2)
            d = ConvTranspose <strides=[2,2], group=6> (t, w3, b3)
            y = Conv (d, w4, b4) }""",
        {
            **{"w1": (8, 3, 1, 1), "b1": (8,), "w2": (8, 6, 2, 2), "b2": (6,)},
            **{"w3": (6, 1, 2, 2), "b3": (6,), "w4": (4, 6, 1, 1), "b4": (4,)},
        },
        [6, 8],
    ),
    "grouped ConvTranspose, few inputs a group": (
        """(float[1,3,4,4] x) => (float[1,4,8,8] y) {
            a = Conv (x, w1, b1)
            t = ConvTranspose <strides=[2,2], group=4> (a, w2, b2)
            y = Conv (t, w3) }""",
        {"w1": (8, 3, 1, 1), "b1": (8,), "w2": (8, 1, 2, 2), "b2": (4,), "w3": (4, 4, 1, 1)},
        [4, 8],
    ),
    "grouped ConvTranspose, several outputs a group": (
        """(float[1,3,4,4] x) => (float[1,4,8,8] y) {
            a = Conv (x, w1, b1)
            t = ConvTranspose <strides=[2,2], group=8> (a, w2, b2)
            y = Conv (t, w3) }""",
        {"w1": (8, 3, 1, 1), "b1": (8,), "w2": (8, 2, 2, 2), "b2": (16,), "w3": (4, 16, 1, 1)},
        [8, 16],
    ),
    "flatten and FC": (
        """(float[1,3,6,6] x) => (float[1,5] y) {
            a = Conv <strides=[2,2]> (x, w1, b1)
            r = Relu (a)
            f = Flatten (r)
            g = Gemm (f, w2, b2)
            s = Relu (g)
            y = Gemm <transB=1> (s, w3, b3) }""",
        {
            **{"w1": (8, 3, 2, 2), "b1": (8,), "w2": (72, 12), "b2": (12,)},
            **{"w3": (5, 12), "b3": (5,)},
        },
        [8, 12],
    ),
    "MatMul and Add": (
        """(float[1,7,6] x) => (float[1,7,5] y) {
            a = MatMul (x, w1)
            b = Add (a, b1)
            r = Relu (b)
            c = MatMul (r, w2)
            y = Add (b2, c) }""",
        {"w1": (6, 12), "b1": (12,), "w2": (12, 5), "b2": (5,)},
        [12],
    ),
    "Split": (
        """(float[1,3,8,8] x) => (float[1,4,8,8] y) {
            a = Conv (x, w1, b1)
            p, q = Split <axis=1> (a, sizes)
            r = Conv (p, w2, b2)
            s = Relu (q)
            t = Add (r, s)
            y = Conv (t, w3) }""",
        {
            **{"w1": (10, 3, 1, 1), "b1": (10,), "w2": (4, 6, 1, 1), "b2": (4,)},
            **{"w3": (4, 4, 1, 1), "sizes": ints(6, 4)},
        },
        [4, 6],
    ),
    "Split, both parts read": (
        """(float[1,3,8,8] x) => (float[1,4,8,8] y) {
            a = Conv (x, w1, b1)
            p, q = Split <axis=1> (a, sizes)
            r = Conv (p, w2)
            s = Conv (q, w3)
            y = Add (r, s) }""",
        {
            **{"w1": (14, 3, 1, 1), "b1": (14,), "w2": (4, 6, 1, 1), "w3": (4, 8, 1, 1)},
            "sizes": ints(6, 8),
        },
        [6, 8],
    ),
    "Resize to sizes": (
        """(float[1,3,4,4] x) => (float[1,4,8,8] y) {
            a = Conv (x, w1, b1)
            u = Resize <mode="nearest"> (a, , , sizes)
            y = Conv (u, w2) }""",
        {"w1": (8, 3, 1, 1), "b1": (8,), "w2": (4, 8, 1, 1), "sizes": ints(1, 8, 8, 8)},
        [8],
    ),
    "Resize by scales": (
        """(float[1,3,4,4] x) => (float[1,4,8,8] y) {
            a = Conv (x, w1, b1)
            u = Resize <mode="linear"> (a, , scales)
            y = Conv (u, w2) }""",
        {
            **{"w1": (8, 3, 1, 1), "b1": (8,), "w2": (4, 8, 1, 1)},
            "scales": np.array([1, 1, 2, 2], np.float32),
        },
        [8],
    ),
    "NHWC part": (
        """(float[1,3,4,4] x) => (float[1,4,4,4] y) {
            a = Conv (x, w1, b1)
            t = Transpose <perm=[0,2,3,1]> (a)
            m = MatMul (t, w2)
            n = Mul (m, factor)
            r = Relu (n)
            u = Transpose <perm=[0,3,1,2]> (r)
            y = Conv (u, w3) }""",
        {
            **{"w1": (8, 3, 1, 1), "b1": (8,), "w2": (8, 6), "factor": (6,)},
            "w3": (4, 6, 1, 1),
        },
        [6, 8],
    ),
    "activations with and without weights": (
        """(float[1,3,4,4] x) => (float[1,4,4,4] y) {
            a = Conv (x, w1, b1)
            p = PRelu (a, slope)
            b = Conv (p, w2, b2)
            l = LeakyRelu (b)
            n = Pad (l, pads)
            c = Conv <pads=[0,0,0,0]> (n, w3, b3)
            e = Add (c, three)
            f = Clip (e, zero, six)
            g = Mul (c, f)
            h = Div (g, six)
            y = Conv (h, w4) }""",
        {
            **{"w1": (8, 3, 1, 1), "b1": (8,), "slope": (8, 1, 1), "w2": (6, 8, 1, 1), "b2": (6,)},
            **{"pads": ints(0, 0, 1, 1, 0, 0, 1, 1), "w3": (10, 6, 3, 3), "b3": (10,)},
            **{"zero": np.array(0, np.float32), "three": np.array(3, np.float32)},
            **{"six": np.array(6, np.float32), "w4": (4, 10, 1, 1)},
        },
        [6, 8, 10],
    ),
    "grouped": (
        """(float[1,3,8,8] x) => (float[1,4,8,8] y) {
            a = Conv (x, w1, b1)
            g = Conv <group=4> (a, w2, b2)
            y = Conv (g, w3) }""",
        {"w1": (16, 3, 1, 1), "b1": (16,), "w2": (12, 4, 1, 1), "b2": (12,), "w3": (4, 12, 1, 1)},
        [3, 4],  # four inputs and three outputs a group, the same ones of each group
    ),
    "grouped, residual": (
        """(float[1,3,8,8] x) => (float[1,4,8,8] y) {
            a = Conv (x, w1, b1)
            g = Conv <group=2> (a, w2, b2)
            r = Add (a, g)
            y = Conv (r, w3) }""",
        {"w1": (8, 3, 1, 1), "b1": (8,), "w2": (8, 4, 1, 1), "b2": (8,), "w3": (4, 8, 1, 1)},
        [4],
    ),
    "Slice on channels": (
        """(float[1,3,8,8] x) => (float[1,4,8,8] y) {
            a = Conv (x, w1, b1)
            p = Slice (a, zero, five, one)
            q = Slice (a, five, all, one, step)
            r = Conv (p, w2, b2)
            s = Conv (q, w3)
            y = Add (r, s) }""",
        {
            **{"w1": (12, 3, 1, 1), "b1": (12,), "w2": (4, 5, 1, 1), "b2": (4,)},
            **{"w3": (4, 7, 1, 1), "zero": ints(0), "one": ints(1), "five": ints(5)},
            **{"all": ints(2**62), "step": ints(1)},
        },
        [5, 7],
    ),
    "DepthToSpace": (
        """(float[1,3,4,4] x) => (float[1,4,8,8] y) {
            a = Conv (x, w1, b1)
            d = DepthToSpace <blocksize=2, mode="CRD"> (a)
            b = Conv (d, w2, b2)
            p = AveragePool <kernel_shape=[2,2], strides=[2,2]> (b)
            c = Conv (p, w4)
            y = DepthToSpace <blocksize=2> (c) }""",
        {"w1": (24, 3, 1, 1), "b1": (24,), "w2": (5, 6, 1, 1), "b2": (5,), "w4": (16, 5, 1, 1)},
        [5, 6],
    ),
    "heads": (
        """(float[1,7,6] x) => (float[1,7,5] y) {
            q = MatMul (x, wq)
            q1 = Add (q, bq)
            q2 = Reshape (q1, split)
            q3 = Transpose <perm=[0,2,1,3]> (q2)
            k = MatMul (x, wk)
            k2 = Reshape (k, split)
            k3 = Transpose <perm=[0,2,3,1]> (k2)
            v = MatMul (x, wv)
            v2 = Reshape (v, split)
            v3 = Transpose <perm=[0,2,1,3]> (v2)
            s = MatMul (q3, k3)
            t = Mul (s, scale)
            u = Softmax <axis=-1> (t)
            o = MatMul (u, v3)
            o2 = Transpose <perm=[0,2,1,3]> (o)
            o3 = Reshape (o2, joined)
            y = MatMul (o3, wo) }""",
        {
            **{"wq": (6, 12), "bq": (12,), "wk": (6, 12), "wv": (6, 12), "wo": (12, 5)},
            **{"split": ints(1, 7, 4, 3), "joined": ints(1, 7, 12)},
            "scale": np.array(0.577, np.float32),
        },
        [4],  # four heads, whole
    ),
    "packed heads": (
        """(float[1,7,6] x) => (float[1,7,5] y) {
            a = MatMul (x, w1)
            b = Add (a, b1)
            c = Reshape (b, split)
            d = Transpose <perm=[2,0,3,1,4]> (c)
            q = Gather <axis=0> (d, i0)
            k = Gather <axis=0> (d, i1)
            v1 = Slice (d, s2, e3, ax)
            v = Squeeze (v1, ax)
            kt = Transpose <perm=[0,1,3,2]> (k)
            s = MatMul (q, kt)
            u = Softmax <axis=-1> (s)
            o = MatMul (u, v)
            p = Transpose <perm=[0,2,1,3]> (o)
            r = Reshape (p, joined)
            y = MatMul (r, wo) }""",
        {
            **{"w1": (6, 36), "b1": (36,), "wo": (12, 5), "split": ints(1, 7, 3, 4, 3)},
            **{"joined": ints(1, 7, 12), "ax": ints(0), "s2": ints(2), "e3": ints(3)},
            **{"i0": np.array(0, np.int64), "i1": np.array(1, np.int64)},
        },
        [4],
    ),
    "transformer block": (
        """(float[1,7,6] x) => (float[1,7,6] y) {
            n = LayerNormalization (x, g1, c1)
            a = MatMul (n, w1)
            b = Add (a, b1)
            d = Div (b, root)
            e = Erf (d)
            f = Add (e, one)
            h = Mul (b, f)
            i = MatMul (h, w2)
            j = Add (i, b2)
            k = Add (x, j)
            y = LayerNormalization (k, g2, c2) }""",
        {
            **{"g1": (6,), "c1": (6,), "w1": (6, 20), "b1": (20,), "w2": (20, 6), "b2": (6,)},
            **{"g2": (6,), "c2": (6,), "root": np.array(1.414, np.float32)},
            "one": np.array(1, np.float32),
        },
        [20],
    ),
    "shared weights": (
        """(float[1,3,8,8] x) => (float[1,4,8,8] y) {
            a = Conv (x, w1, b1)
            b = Conv (a, w2, b2)
            c = Relu (b)
            d = Conv (c, w2, b2)
            y = Conv (d, w3) }""",
        {"w1": (8, 3, 1, 1), "b1": (8,), "w2": (8, 8, 1, 1), "b2": (8,), "w3": (4, 8, 1, 1)},
        [8],
    ),
    "two inputs, two outputs": (
        """(float[1,3,8,8] x, float[1,5,8,8] z) => (float[1,4,8,8] y, float[1,6,8,8] v) {
            a = Conv (x, w1, b1)
            b = Conv (z, w2, b2)
            c = Mul (a, b)
            v = Conv (c, w3)
            r = Relu (v)
            y = Conv (r, w4) }""",
        {
            **{"w1": (8, 3, 1, 1), "b1": (8,), "w2": (8, 5, 1, 1), "b2": (8,)},
            **{"w3": (6, 8, 1, 1), "w4": (4, 6, 1, 1)},
        },
        [8],
    ),
    "one-dimensional": (
        """(float[1,3,16] x) => (float[1,4] y) {
            a = Conv <pads=[1,1], strides=[2]> (x, w1, b1)
            r = Relu (a)
            d = Conv <group=8, pads=[1,1]> (r, w2, b2)
            p = MaxPool <kernel_shape=[2], strides=[2]> (d)
            f = Flatten (p)
            y = Gemm <transB=1> (f, w3, b3) }""",
        {
            **{"w1": (8, 3, 3), "b1": (8,), "w2": (8, 1, 3), "b2": (8,)},
            **{"w3": (4, 32), "b3": (4,)},
        },
        [8],
    ),
    "reshape to a vector and back": (
        """(float[1,3,4,4] x) => (float[1,4,4,4] y) {
            a = Conv (x, w1, b1)
            f = Reshape (a, flat)
            r = Relu (f)
            s = Sigmoid (r)
            m = Mul (r, s)
            b = Reshape (m, back)
            y = Conv (b, w2) }""",
        {
            **{"w1": (8, 3, 1, 1), "b1": (8,), "w2": (4, 8, 1, 1)},
            **{"flat": ints(1, 128), "back": ints(1, 8, 4, 4)},
        },
        [8],
    ),
    "spatial mean": (
        """(float[1,3,4,4] x) => (float[1,5] y) {
            a = Conv (x, w1, b1)
            m = ReduceMean <axes=[2,3], keepdims=0> (a)
            y = Gemm (m, w2, b2) }""",
        {"w1": (8, 3, 1, 1), "b1": (8,), "w2": (8, 5), "b2": (5,)},
        [8],
    ),
    "pooling over what were channels": (
        """(float[1,3,4,4] x) => (float[1,4,2,2] y) {
            a = Conv (x, w1, b1)
            t = Transpose <perm=[0,2,3,1]> (a)
            p = MaxPool <kernel_shape=[2,2], strides=[2,2]> (t)
            s = Slice (p, from, to, axes)
            y = Relu (s) }""",
        {
            **{"w1": (8, 3, 1, 1), "b1": (8,), "from": ints(0), "to": ints(2)},
            "axes": ints(3),
        },
        [],
    ),
    "single channels reshaped": (
        """(float[1,3,4,4] x) => (float[1,16] y) {
            a = Conv (x, w1, b1)
            p, q = Split <axis=1> (a, sizes)
            r = Reshape (p, flat)
            s = ReduceSum <keepdims=0> (q, axes)
            y = Add (r, s) }""",
        {
            **{"w1": (2, 3, 1, 1), "b1": (2,), "sizes": ints(1, 1), "flat": ints(1, 16)},
            "axes": ints(1, 2, 3),
        },
        [],
    ),
    "token mixing": (
        """(float[1,3,4,4] x) => (float[1,8,5] y) {
            a = Conv (x, w1, b1)
            f = Reshape (a, flat)
            m = MatMul (f, w2)
            r = Relu (m)
            n = MatMul (r, w3)
            t = Transpose <perm=[0,2,1]> (n)
            o = MatMul (t, w4)
            u = Transpose <perm=[0,2,1]> (o)
            y = MatMul (u, w5) }""",
        {
            **{"w1": (6, 3, 1, 1), "b1": (6,), "flat": ints(1, 6, 16), "w2": (16, 10)},
            **{"w3": (10, 7), "w4": (6, 8), "w5": (7, 5)},
        },
        [6, 7, 10],
    ),
    "normalised queries and keys": (
        """(float[1,7,6] x) => (float[1,7,5] y) {
            q = MatMul (x, wq)
            q2 = Reshape (q, split)
            q3 = Transpose <perm=[0,2,1,3]> (q2)
            ql = ReduceL2 <axes=[-1]> (q3)
            qc = Clip (ql, least)
            qe = Expand (qc, whole)
            q4 = Div (q3, qe)
            k = MatMul (x, wk)
            k2 = Reshape (k, split)
            k3 = Transpose <perm=[0,2,1,3]> (k2)
            s = Einsum <equation="bhqc, bhkc -> bhqk"> (q4, k3)
            u = Softmax <axis=-1> (s)
            v = MatMul (x, wv)
            v2 = Reshape (v, split)
            o = Einsum <equation="bhqk,bkhc->bqhc"> (u, v2)
            o2 = Reshape (o, joined)
            y = MatMul (o2, wo) }""",
        {
            **{"wq": (6, 12), "wk": (6, 12), "wv": (6, 12), "wo": (12, 5)},
            **{"split": ints(1, 7, 4, 3), "joined": ints(1, 7, 12), "whole": ints(1, 4, 7, 3)},
            "least": np.array(1e-6, np.float32),
        },
        [4],
    ),
    "normalised over the plane": (
        """(float[1,3,4,4] x) => (float[1,5,4,4] y) {
            a = Conv (x, w1, b1)
            n = ReduceL2 <axes=[2,3]> (a)
            c = Clip (n, least)
            e = Expand (c, whole)
            d = Div (a, e)
            y = Conv (d, w2) }""",
        {
            **{"w1": (8, 3, 1, 1), "b1": (8,), "w2": (5, 8, 1, 1), "whole": ints(1, 8, 4, 4)},
            "least": np.array(1e-6, np.float32),
        },
        [8],
    ),
    "Expand of one plane to all channels": (
        """(float[1,3,4,4] x) => (float[1,5,4,4] y) {
            a = Conv (x, w1, b1)
            g = Conv (x, w2)
            e = Expand (g, whole)
            t = Tile (g, eight)
            d = Mul (a, e)
            f = Mul (d, t)
            y = Conv (f, w3) }""",
        {
            **{"w1": (8, 3, 1, 1), "b1": (8,), "w2": (1, 3, 1, 1), "w3": (5, 8, 1, 1)},
            **{"whole": ints(1, 8, 1, 1), "eight": ints(1, 8, 1, 1)},
        },
        [8],
    ),
    "Expand to more axes": (
        """(float[1,3] x) => (float[1,2,4,5] y) {
            a = Gemm (x, w1, b1)
            e = Expand (a, whole)
            y = MatMul (e, w2) }""",
        {"w1": (3, 8), "b1": (8,), "w2": (8, 5), "whole": ints(1, 2, 4, 8)},
        [8],
    ),
    "Tile of planes and of channels": (
        """(float[1,3,4,4] x) => (float[1,5,8,8] y) {
            a = Conv (x, w1, b1)
            p = Tile (a, planes)
            b = Conv (p, w2, b2)
            c = Tile (b, channels)
            y = Conv (c, w3) }""",
        {
            **{"w1": (8, 3, 1, 1), "b1": (8,), "w2": (6, 8, 1, 1), "b2": (6,)},
            **{"planes": ints(1, 1, 2, 2), "channels": ints(1, 3, 1, 1), "w3": (5, 18, 1, 1)},
        },
        [6, 8],
    ),
    "GridSample": (
        """(float[1,3,4,4] x) => (float[1,5,6,6] y) {
            a = Conv (x, w1, b1)
            s = GridSample (a, grid)
            y = Conv (s, w2) }""",
        {
            **{"w1": (8, 3, 1, 1), "b1": (8,), "w2": (5, 8, 1, 1)},
            "grid": np.linspace(-1, 1, 72, dtype=np.float32).reshape(1, 6, 6, 2),
        },
        [8],
    ),
    "Einsum of pixels and words": (
        """(float[1,3,4,4] x, float[1,7,6] z) => (float[1,7,4,4] y) {
            a = Conv (x, w1, b1)
            k = MatMul (z, w2)
            y = Einsum <equation="bchw,bkc->bkhw"> (a, k) }""",
        {"w1": (8, 3, 1, 1), "b1": (8,), "w2": (6, 8)},
        [8],
    ),
    "Einsum of two implied terms": (
        """(float[3,6] x) => (float[3,5] y) {
            a = MatMul (x, w1)
            y = Einsum <equation="ij,jk"> (a, w2) }""",
        {"w1": (6, 8), "w2": (8, 5)},
        [8],
    ),
}
# what holds the channels of the first convolution, and whether it is named for lack of a rule
FROZEN: dict[str, tuple[str, Weights, bool]] = {
    "Softmax over channels": ("b = Softmax <axis=1> (a)", {}, False),
    "mean over channels": ("b = ReduceMean <axes=[1]> (a)", {}, False),
    "LayerNormalization": (
        "b = LayerNormalization <axis=1> (a, scale, shift)",
        {"scale": (8, 4, 4), "shift": (8, 4, 4)},
        False,
    ),
    "Slice in steps": (
        "b = Slice (a, from, to, axes, steps)",
        {"from": ints(0), "to": ints(8), "axes": ints(1), "steps": ints(2)},
        False,
    ),
    "Gather of channels": ("b = Gather <axis=1> (a, some)", {"some": ints(3, 1)}, False),
    "reversed": (
        "b = Slice (a, from, to, axes, steps)",
        {"from": ints(-1), "to": ints(-9), "axes": ints(1), "steps": ints(-1)},
        True,
    ),
    "Einsum over channels": ('b = Einsum <equation="bchw->bhw"> (a)', {}, False),
    "Einsum of a broadcast axis": (
        'b = Einsum <equation="bchw,c->bchw"> (a, single)',
        {"single": (1,)},
        False,
    ),
    "Einsum with an ellipsis": ('b = Einsum <equation="b...->b..."> (a)', {}, True),
    "grid of GridSample": (
        """t = Reshape (a, pairs)
           b = GridSample (x, t)""",
        {"pairs": ints(1, 8, 8, 2)},
        False,
    ),
    "LRN": ("b = LRN <size=3> (a)", {}, True),
    "LpNormalization": ("b = LpNormalization <axis=1> (a)", {}, True),
    "contributed operator": ("b = com.microsoft.Trilu (a)", {}, True),
    "loop": (
        """n = Constant <value_int=2> ()
           c = Constant <value_int=1> ()
           k = Cast <to=9> (c)
           b = Loop (n, k, x) <body = body (int64 i, bool go, float[1,3,4,4] v)
               => (bool on, float[1,3,4,4] w) {
               on = Identity (go)
               s = ReduceMean <axes=[1,2,3]> (a)
               w = Add (v, s)
           }>""",
        {},
        True,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_every_group_can_be_halved(name: str) -> None:
    text, weights, sizes = CASES[name]
    model = model_of(text, weights)
    dependency, groups = analysed(model)
    assert sorted(group.size for group in groups) == sizes
    removed = mark_removed(
        dependency, {group.name: np.arange(group.size // 2) for group in groups}, groups
    )
    small = remove_channels(dependency, removed)
    check_pruned(model, small)
    assert (weight_count(small) < weight_count(model)) == bool(groups)
    for group in find_groups(build_dependency_graph(Graph(small))):
        assert group.size == next(g.size - g.size // 2 for g in groups if g.name == group.name)


@pytest.mark.parametrize("name", CASES)
def test_dead_channels_do_not_matter(name: str) -> None:
    text, weights, _ = CASES[name]
    dependency, groups = analysed(model_of(text, weights))
    removed = dependency.empty_mask()
    for group in groups:
        removed[group.roots[1::3]] = True
    dead = killed(dependency, removed)
    check_pruned(dead, remove_channels(dependency, removed, dead), equal=True)


@pytest.mark.parametrize("name", FROZEN)
def test_tensors_that_have_to_stay_whole_are_frozen(name: str) -> None:
    node, weights, named = FROZEN[name]
    text = f"""(float[1,3,4,4] x) => (float y) {{
        a = Conv (x, w1, b1)
        {node}
        y = ReduceMean <keepdims=0> (b) }}"""
    shapes = {"w1": (8, 3, 1, 1), "b1": (8,)}
    model = model_of(text, {**shapes, **weights}, domains=["com.microsoft"])
    dependency, groups = analysed(model)
    assert groups == []
    assert bool(dependency.unknown) == named
    assert "Conv" not in dependency.unknown
    check_pruned(model, remove_channels(dependency, dependency.empty_mask()), equal=True)


@pytest.mark.parametrize("axes", ["", "axes=[2,3],"])
def test_resize_of_some_axes_only(axes: str) -> None:
    sizes = ints(8, 8) if axes else ints(1, 8, 8, 8)
    text = f"""(float[1,3,4,4] x) => (float[1,4,8,8] y) {{
        a = Conv (x, w1, b1)
        u = Resize <{axes} mode="nearest"> (a, , , sizes)
        y = Conv (u, w2) }}"""
    weights: Weights = {"w1": (8, 3, 1, 1), "b1": (8,), "w2": (4, 8, 1, 1), "sizes": sizes}
    model = model_of(text, weights, opset=18)
    dependency, groups = analysed(model)
    removed = dependency.empty_mask()
    removed[groups[0].roots[:3]] = True
    check_pruned(model, remove_channels(dependency, removed))


def test_every_group_has_a_name_of_its_own() -> None:
    for text, weights, _ in CASES.values():
        _, groups = analysed(model_of(text, weights))
        assert len({group.name for group in groups}) == len(groups)


def test_a_group_is_named_after_the_weight_that_makes_it() -> None:
    _, groups = analysed(model_of(*CASES["flatten and FC"][:2]))
    assert {group.name: group.size for group in groups} == {"w1": 8, "w2": 12}


def test_taking_out_all_channels_is_refused() -> None:
    dependency, groups = analysed(model_of(*CASES["plain"][:2]))
    removed = dependency.empty_mask()
    removed[groups[0].roots] = True
    with pytest.raises(ValueError, match="all channels of w1"):
        remove_channels(dependency, removed)


def test_the_original_is_left_alone() -> None:
    model = model_of(*CASES["residual"][:2])
    before = model.SerializeToString()
    dependency, groups = analysed(model)
    remove_channels(dependency, mark_removed(dependency, {"w2": ints(0, 1)}, groups))
    assert model.SerializeToString() == before


def test_rules_name_operators_that_exist() -> None:
    assert all(onnx.defs.has(operator) for operator in RULES)


@st.composite
def random_nets(draw: st.DrawFn) -> ModelProto:
    """A stem, one to four blocks of random kinds and widths, and a head."""
    lines = ["a = Conv <pads=[1,1,1,1]> (x, w, b)", "t = Relu (a)"]
    channels = draw(st.integers(2, 8))
    weights: dict[str, ArrayLike] = {
        "w": (channels, 3, 3, 3),
        "b": (channels,),
        "sizes": ints(3, 3),
    }
    weights |= {"zero": ints(0), "two": ints(2), "three": ints(3), "many": ints(99)}
    weights |= {"axis": ints(1)}
    tensor = "t"
    for index in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(sorted(BLOCKS)))
        width = draw(st.integers(2, 8))
        body, sizes, out = BLOCKS[kind]
        shapes = {"c": channels, "m": width, "cm": channels + width, "c8": channels + 8}
        channels = shapes[out] if out in shapes else int(out)
        tag = f"_{index}"
        lines.append(body.replace("IN", tensor).replace("@", tag).replace("G#", str(shapes["c"])))
        for name, shape in sizes.items():
            dims = [shapes[key] if key in shapes else int(key) for key in shape.split()]
            weights[f"{name}{tag}"] = tuple(dims)
        tensor = f"o{tag}"
    pool = draw(st.sampled_from(["Identity", "GlobalAveragePool"]))
    pixels = 1 if pool == "GlobalAveragePool" else 16
    lines += [f"p = {pool} ({tensor})", "f = Flatten (p)", "y = Gemm <transB=1> (f, wf, bf)"]
    weights |= {"wf": (5, channels * pixels), "bf": (5,)}
    text = "(float[1,3,4,4] x) => (float[1,5] y) {\n" + "\n".join(lines) + "\n}"
    return model_of(text, weights, seed=draw(st.integers(0, 9)))


# name -> (lines, shapes of the weights by c = channels in, m = width of the block, channels out)
BLOCKS = {
    "plain": ("k@ = Conv (IN, w1@, b1@)\no@ = Relu (k@)", {"w1": "m c 1 1", "b1": "m"}, "m"),
    "residual": (
        "k@ = Conv <pads=[1,1,1,1]> (IN, w1@, b1@)\nl@ = Relu (k@)\n"
        "n@ = Conv (l@, w2@, b2@)\nq@ = Add (n@, IN)\no@ = Relu (q@)",
        {"w1": "m c 3 3", "b1": "m", "w2": "c m 1 1", "b2": "c"},
        "c",
    ),
    "depthwise": (
        "k@ = Conv <group=G#, pads=[1,1,1,1]> (IN, w1@, b1@)\nl@ = HardSwish (k@)\n"
        "o@ = Conv (l@, w2@, b2@)",
        {"w1": "c 1 3 3", "b1": "c", "w2": "m c 1 1", "b2": "m"},
        "m",
    ),
    "excitation": (
        "k@ = GlobalAveragePool (IN)\nl@ = Conv (k@, w1@, b1@)\nn@ = Relu (l@)\n"
        "q@ = Conv (n@, w2@, b2@)\ng@ = Sigmoid (q@)\no@ = Mul (IN, g@)",
        {"w1": "m c 1 1", "b1": "m", "w2": "c m 1 1", "b2": "c"},
        "c",
    ),
    "grouped": (
        "k@ = Conv (IN, w1@, b1@)\nl@ = Conv <group=2> (k@, w2@, b2@)\no@ = Relu (l@)",
        {"w1": "8 c 1 1", "b1": "8", "w2": "4 4 1 1", "b2": "4"},
        "4",
    ),
    "halves": (
        "k@ = Conv (IN, w1@, b1@)\np@, q@ = Split <axis=1> (k@, sizes)\ns@ = Sigmoid (q@)\n"
        "o@ = Mul (p@, s@)",
        {"w1": "6 c 1 1", "b1": "6"},
        "3",
    ),
    "slices": (
        "k@ = Conv (IN, w1@, b1@)\np@ = Slice (k@, zero, three, axis)\n"
        "q@ = Slice (k@, two, many, axis)\no@ = Concat <axis=1> (q@, p@, IN)",
        {"w1": "7 c 1 1", "b1": "7"},
        "c8",
    ),
    "concat": (
        "k@ = Conv (IN, w1@, b1@)\no@ = Concat <axis=1> (IN, k@)",
        {"w1": "m c 1 1", "b1": "m"},
        "cm",
    ),
}


@settings(max_examples=60)
@given(model=random_nets(), data=st.data())
def test_removals_from_random_nets_leave_valid_models(
    model: ModelProto, data: st.DataObject
) -> None:
    dependency, groups = analysed(model)
    removed = dependency.empty_mask()
    for group in groups:
        gone = data.draw(st.sets(st.integers(0, group.size - 1), max_size=group.size - 1))
        removed[group.roots[sorted(gone)]] = True
    check_pruned(model, remove_channels(dependency, removed))
    dead = killed(dependency, removed)
    check_pruned(dead, remove_channels(dependency, removed, dead), equal=True)
