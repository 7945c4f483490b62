"""Which tensors lose accuracy: what each one's error does alone, and what has gathered in it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Literal

import numpy as np
from onnx import ModelProto, NodeProto, numpy_helper

from ..core.graphs.graph import Graph, attributes, free_name
from ..core.scratch import scratch_folder
from ..core.session import Session
from ..core.similarity import RunningSqnr
from ..core.streaming.tensor_stream import stream, with_outputs
from ..core.types import Array
from .methods.method_candidates import HeldOut, SampleSet
from .mixed import families
from .numeric.scales import INT8_HIGH, INT8_LOW, dequantize
from .rendering.plan import Activation, Plan
from .rendering.qdq import dequantized_names, render

_QUANTIZE, _DEQUANTIZE = "QuantizeLinear", "DequantizeLinear"
_SAMPLES = 8  # enough to rank tensors by the error that they bring

Kind = Literal["activation", "weight"]
Progress = Callable[[str, int, int | None], None]


@dataclass(frozen=True)
class TensorError:
    """What the quantization of one tensor does, in dB: the smaller, the worse.

    A weight, its bias with it, goes by the ``name`` of the tensor that its layer computes;
    ``operator`` is what computes it ("Input" when it is fed).

    ``alone_db`` is the SQNR of the worst output of the model when this alone is quantized, None
    when the time was over before. ``accumulated_db`` is the SQNR of the tensor itself, quantized,
    when all is quantized; for a weight that of what its layer computes, before that is quantized.

    ``low`` and ``high`` are the range that int8 covers, for a weight its values; ``step`` is the
    scale, for a weight the largest of its channels' scales. ``simulated_db`` is as
    ``accumulated_db``, in the RKNN simulator, None where that was not asked.
    """

    name: str
    kind: Kind
    operator: str
    alone_db: float | None
    accumulated_db: float
    low: float
    high: float
    step: float
    simulated_db: float | None = None


@dataclass(frozen=True, eq=False)
class _Part:
    """One tensor that is quantized: where the quantized model has it, and the model with it alone.

    ``own`` gives the mean relative error of its values, from those of the tensor in float.
    """

    error: TensorError
    held_in: str
    alone: Callable[[], ModelProto]
    own: Callable[[Array], float]


def error_report(
    model: ModelProto,
    quantized: ModelProto,
    plan: Plan,
    samples: SampleSet,
    *,
    seconds: float = 120,
    on_progress: Progress = lambda what, done, total: None,
) -> tuple[TensorError, ...]:
    """The error of every quantized activation and weight, worst alone first.

    ``quantized`` was made of the prepared ``model`` as ``plan`` says. Activations that were only
    moved from another one count with that one, as they share its scale and its values. The errors
    alone are measured on up to eight samples spread over ``samples``, fewer where not all could be
    in ``seconds``, those expected to be largest first; what was not reached in time comes last.
    One sample is in memory at a time. Raises SamplesError when there are none.
    """
    deadline = time.monotonic() + seconds
    graph = Graph(model)
    parts = [*_activations(model, graph, plan, quantized), *_weights(model, graph, quantized)]
    gathered, own = _accumulated(model, quantized, parts, samples, on_progress)
    order = sorted(range(len(parts)), key=lambda index: -own[index])
    alone = _alone(model, [parts[index] for index in order], samples, deadline, on_progress)
    found = [
        replace(parts[index].error, accumulated_db=gathered[index], alone_db=db)
        for index, db in zip(order, alone, strict=True)
    ]
    return tuple(sorted(found, key=_badness))


def _badness(one: TensorError) -> tuple[bool, float, float]:
    return one.alone_db is None, one.alone_db or 0.0, one.accumulated_db


def _activations(
    model: ModelProto, graph: Graph, plan: Plan, quantized: ModelProto
) -> Iterator[_Part]:
    held_in = dequantized_names(quantized)
    for name, members in families(plan).items():
        one = plan.activations[name]
        operator = graph.producers[name].op_type if name in graph.producers else "Input"
        yield _Part(
            TensorError(name, "activation", operator, None, 0.0, one.low, one.high, one.scale),
            held_in[name],
            partial(_with_activations, model, plan, members),
            partial(_activation_error, one),
        )


def _weights(model: ModelProto, graph: Graph, quantized: ModelProto) -> Iterator[_Part]:
    # rendering adds nodes and rewires the others, but leaves these in their order
    others = [node for node in quantized.graph.node if node.op_type not in (_QUANTIZE, _DEQUANTIZE)]
    constants = Graph(quantized).weights
    stored = {
        node.output[0]: node
        for node in quantized.graph.node
        if node.op_type == _DEQUANTIZE and node.input[0] in constants
    }
    for index, (node, other) in enumerate(zip(graph.nodes, others, strict=True)):
        places = {place: stored[name] for place, name in enumerate(other.input) if name in stored}
        if places:
            weight, scales = graph.weights[node.input[1]], constants[places[1].input[1]]
            ends = float(weight.min()), float(weight.max())
            yield _Part(
                TensorError(
                    node.output[0], "weight", node.op_type, None, 0.0, *ends, float(scales.max())
                ),
                other.output[0],
                partial(_with_weight, model, index, places, constants),
                partial(_weight_error, weight, places[1], constants),
            )


def _with_activations(model: ModelProto, plan: Plan, names: Sequence[str]) -> ModelProto:
    """The model in float but for some activations."""
    alone = {name: plan.activations[name] for name in names}
    return render(model, replace(plan, activations=alone, weights={}), {})


def _with_weight(
    model: ModelProto, index: int, places: Mapping[int, NodeProto], constants: Mapping[str, Array]
) -> ModelProto:
    """The model in float but for the weight and bias of one node.

    They go together: a corrected bias makes up for the mean error of its weight.
    """
    copy = ModelProto()
    copy.CopyFrom(model)
    node = copy.graph.node[index]
    taken = Graph(model).names
    for place, source in sorted(places.items()):
        name = free_name(f"{node.output[0]}.rounded{place}", taken)
        value = _dequantized(source, constants)
        copy.graph.initializer.append(numpy_helper.from_array(value, name))
        node.input.extend([""] * (place + 1 - len(node.input)))
        node.input[place] = name
    return copy


def _dequantized(node: NodeProto, constants: Mapping[str, Array]) -> Array:
    steps, scales = (constants[name] for name in node.input[:2])
    return dequantize(steps, scales, attributes(node)["axis"])


def _activation_error(one: Activation, values: Array) -> float:
    steps = np.clip(np.rint(values / one.scale) + one.zero_point, INT8_LOW, INT8_HIGH)
    return _relative_error(values, (steps - one.zero_point) * one.scale)


def _weight_error(
    weight: Array, stored: NodeProto, constants: Mapping[str, Array], values: Array
) -> float:
    return _relative_error(weight, _dequantized(stored, constants))


def _relative_error(values: Array, rounded: Array) -> float:
    """Mean of |error / value|, at most 1 each: unlike an SQNR it sees what large values hide."""
    sizes = np.abs(values)
    errors = np.minimum(np.abs(values - rounded), sizes)
    return float(np.mean(errors / np.where(sizes > 0, sizes, 1)))


def _accumulated(
    model: ModelProto,
    quantized: ModelProto,
    parts: Sequence[_Part],
    samples: SampleSet,
    on_progress: Progress,
) -> tuple[list[float], list[float]]:
    """Of every part: SQNR of the two models' tensors, and its own error on the first sample."""
    names = [part.held_in for part in parts]
    session = Session(with_outputs(quantized, names), optimise=False)
    running = [RunningSqnr() for _ in parts]
    own: list[float] = []

    def take(values: Mapping[str, Array]) -> None:
        if not own:
            own.extend(part.own(values[part.error.name]) for part in parts)
        feeds = {name: values[name] for name in session.input_names}
        for part, sums, got in zip(parts, running, session.run(feeds, names), strict=True):
            sums.add([values[part.error.name]], [got])

    wanted = [*session.input_names, *(part.error.name for part in parts)]
    stream(
        model,
        wanted,
        samples,
        take,
        lambda done: on_progress("accumulated error", done, len(samples)),
    )
    return [sums.db for sums in running], own


def _alone(
    model: ModelProto,
    parts: Sequence[_Part],
    samples: SampleSet,
    deadline: float,
    on_progress: Progress,
) -> list[float | None]:
    """SQNR of the outputs with each part alone, None from when the time is over."""
    apart = max(len(samples) // _SAMPLES, 1)
    few = islice(samples, 0, _SAMPLES * apart, apart)
    found: list[float | None] = []
    with scratch_folder() as folder:
        kept = HeldOut(model, few, folder)
        most = _affordable(parts, kept, deadline)
        for done, part in enumerate(parts):
            on_progress("error alone", done, len(parts))
            late = time.monotonic() >= deadline
            found.append(None if late else kept.sqnr_db(part.alone(), most=most))
    return found


def _affordable(parts: Sequence[_Part], kept: HeldOut, deadline: float) -> int:
    """On how many samples all parts can be measured in time, judged by the first; at least one."""
    started = time.monotonic()
    if started >= deadline:
        return 1
    kept.sqnr_db(parts[0].alone())
    now = time.monotonic()
    each = max(now - started, 1e-9) / len(kept)
    return int(np.clip((deadline - now) / len(parts) / each, 1, len(kept)))
