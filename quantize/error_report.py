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
from ..core.progress import SILENT, Progress
from ..core.session import Session
from ..core.similarity import RunningSqnr
from ..core.streaming.tensor_stream import stream, with_outputs
from ..core.types import Array, SampleSet
from .graph_parts.attention import WEIGHTED
from .mixing.activation_mix import scale_groups, with_activations
from .numeric.scales import INT8_HIGH, INT8_LOW, dequantize
from .rendering.plan import Activation, Plan
from .rendering.qdq import computing_nodes, dequantized_names
from .trials.held_out_samples import HeldOut

_SAMPLES = 8  # enough to rank tensors by the error that they bring

Kind = Literal["activation", "weight"]


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
class _QuantizedTensor:
    """One tensor that is quantized: where the quantized model has it, and the model with it alone.

    ``own`` gives the mean relative error of its values, from those of the tensor in float.
    """

    error: TensorError
    dequantized: str
    alone: Callable[[], ModelProto]
    own: Callable[[Array], float]


def error_report(
    model: ModelProto,
    quantized: ModelProto,
    plan: Plan,
    samples: SampleSet,
    *,
    seconds: float = 120,
    progress: Progress = SILENT,
) -> tuple[TensorError, ...]:
    """Return the error of every quantized activation and weight, worst alone first.

    ``quantized`` was made of the prepared ``model`` as ``plan`` says. Activations that were only
    moved from another one count with that one, as they share its scale and its values. The errors
    alone are measured on up to eight samples spread over ``samples``, fewer where not all could be
    in ``seconds``, those expected to be largest first; what was not reached in time comes last.
    One sample is in memory at a time. Raises SamplesError when there are none.
    """
    deadline = time.monotonic() + seconds
    graph = Graph(model)
    tensors = [*_activations(model, graph, plan, quantized), *_weights(model, graph, quantized)]
    gathered, own = _accumulated(model, quantized, tensors, samples, progress)
    order = sorted(range(len(tensors)), key=lambda index: -own[index])
    alone = _alone(model, [tensors[index] for index in order], samples, deadline, progress)
    errors = [
        replace(tensors[index].error, accumulated_db=gathered[index], alone_db=db)
        for index, db in zip(order, alone, strict=True)
    ]
    return tuple(
        sorted(errors, key=lambda e: (e.alone_db is None, e.alone_db or 0.0, e.accumulated_db))
    )


def _activations(
    model: ModelProto, graph: Graph, plan: Plan, quantized: ModelProto
) -> Iterator[_QuantizedTensor]:
    dequantized = dequantized_names(quantized)
    for name, members in scale_groups(plan).items():
        activation = plan.activations[name]
        numbers = activation.low, activation.high, activation.scale
        operator = graph.producers[name].op_type if name in graph.producers else "Input"
        yield _QuantizedTensor(
            TensorError(name, "activation", operator, None, 0.0, *numbers),
            dequantized[name],
            partial(with_activations, model, plan, members),
            partial(_activation_error, activation),
        )


def _weights(model: ModelProto, graph: Graph, quantized: ModelProto) -> Iterator[_QuantizedTensor]:
    constants = Graph(quantized).weights
    stored = {
        node.output[0]: node
        for node in quantized.graph.node
        if node.op_type == "DequantizeLinear" and node.input[0] in constants
    }
    for index, (node, other) in enumerate(computing_nodes(model, quantized)):
        if node.op_type not in WEIGHTED:
            continue  # a constant that an elementwise operator reads
        sources = {
            position: stored[name] for position, name in enumerate(other.input) if name in stored
        }
        if sources:
            weight, scales = graph.weights[node.input[1]], constants[sources[1].input[1]]
            ends = float(weight.min()), float(weight.max())
            yield _QuantizedTensor(
                TensorError(
                    node.output[0], "weight", node.op_type, None, 0.0, *ends, float(scales.max())
                ),
                other.output[0],
                partial(_with_weight, model, index, sources, constants),
                partial(_weight_error, weight, sources[1], constants),
            )


def _with_weight(
    model: ModelProto, index: int, sources: Mapping[int, NodeProto], constants: Mapping[str, Array]
) -> ModelProto:
    """Return the model in float but for the weight and bias of one node.

    They go together: a corrected bias makes up for the mean error of its weight.
    """
    copy = ModelProto()
    copy.CopyFrom(model)
    node = copy.graph.node[index]
    taken = Graph(model).names
    for position, source in sorted(sources.items()):
        name = free_name(f"{node.output[0]}.rounded{position}", taken)
        value = _dequantized(source, constants)
        copy.graph.initializer.append(numpy_helper.from_array(value, name))
        node.input.extend([""] * (position + 1 - len(node.input)))
        node.input[position] = name
    return copy


def _dequantized(node: NodeProto, constants: Mapping[str, Array]) -> Array:
    steps, scales = (constants[name] for name in node.input[:2])
    return dequantize(steps, scales, attributes(node)["axis"])


def _activation_error(activation: Activation, values: Array) -> float:
    scale, zero_point = activation.scale, activation.zero_point
    steps = np.clip(np.rint(values / scale) + zero_point, INT8_LOW, INT8_HIGH)
    return _relative_error(values, (steps - zero_point) * scale)


def _weight_error(
    weight: Array, stored: NodeProto, constants: Mapping[str, Array], _values: Array
) -> float:
    return _relative_error(weight, _dequantized(stored, constants))


def _relative_error(values: Array, rounded: Array) -> float:
    """Return the mean of |error / value|, at most 1 each: it sees what large values hide."""
    sizes = np.abs(values)
    errors = np.minimum(np.abs(values - rounded), sizes)
    return float(np.mean(errors / np.where(sizes > 0, sizes, 1)))


def _accumulated(
    model: ModelProto,
    quantized: ModelProto,
    tensors: Sequence[_QuantizedTensor],
    samples: SampleSet,
    progress: Progress,
) -> tuple[list[float], list[float]]:
    """Return the SQNR of every tensor in the two models, and its own error on the first sample."""
    names = [tensor.dequantized for tensor in tensors]
    session = Session(with_outputs(quantized, names), optimise=False)
    running = [RunningSqnr() for _ in tensors]
    own: list[float] = []

    def take(values: Mapping[str, Array]) -> None:
        if not own:
            own.extend(tensor.own(values[tensor.error.name]) for tensor in tensors)
        feeds = {name: values[name] for name in session.input_names}
        for tensor, sums, value in zip(tensors, running, session.run(feeds, names), strict=True):
            sums.add([values[tensor.error.name]], [value])

    read = [*session.input_names, *(tensor.error.name for tensor in tensors)]
    stream(
        model,
        read,
        samples,
        take,
        lambda done: progress.step("accumulated error", done, len(samples)),
    )
    return [sums.db for sums in running], own


def _alone(
    model: ModelProto,
    tensors: Sequence[_QuantizedTensor],
    samples: SampleSet,
    deadline: float,
    progress: Progress,
) -> list[float | None]:
    """Return the SQNR of the outputs with each tensor alone, None from when the time is over."""
    apart = max(len(samples) // _SAMPLES, 1)
    spread = islice(samples, 0, _SAMPLES * apart, apart)
    sqnrs: list[float | None] = []
    judged = HeldOut(model, spread)
    most = _affordable(tensors, judged, deadline)
    progress = progress.before(deadline)
    for done, tensor in enumerate(tensors):
        progress.step("error alone", done, len(tensors))
        late = time.monotonic() >= deadline
        sqnrs.append(None if late else judged.sqnr_db(tensor.alone(), most=most))
    return sqnrs


def _affordable(tensors: Sequence[_QuantizedTensor], judged: HeldOut, deadline: float) -> int:
    """Return on how many samples all can be measured in time, by that of the first; at least 1."""
    started = time.monotonic()
    if started >= deadline:
        return 1
    judged.sqnr_db(tensors[0].alone())
    now = time.monotonic()
    seconds = max(now - started, 1e-9) / len(judged)
    return int(np.clip((deadline - now) / len(tensors) / seconds, 1, len(judged)))
