"""Weights of 4 bits with activations in float16 (w4a16), for the chips that multiply these.

The toolkit rounds such weights itself, to 7 steps on either side of 0, the largest weight of a
channel being 7. So the result is a float model whose weights already sit on that grid: rounding
them once more changes nothing. Those of grouped, depthwise and transposed convolutions the toolkit
leaves in float16 (2.3.2 and 2.5.0), and so does this.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from onnx import ModelProto, numpy_helper

from ..core.diagnostics import option
from ..core.errors import OptionError
from ..core.files import replacing
from ..core.graphs.graph import Graph, drop_unread, free_name
from ..core.graphs.model import save_model
from ..core.scratch import scratch_folder
from ..core.types import Feeds, Float64
from .graph_parts.placement import weighted_nodes
from .graph_parts.quantizable import require_quantizable, require_to_choose_by, underflow_notices
from .graph_parts.weighted_layers import Layer, layers_from
from .integer.apply_method import Progress
from .methods.gptq import gptq
from .methods.method_table import AUTO
from .mixing.weight_mix import FourBitMix, mixed_with_float16
from .quantize import QuantizeResult
from .rendering.plan import Plan, Tradeoff, Weight, compared, write_plan
from .rendering.rounding import Rounded, lost_mean, nearest
from .statistics.tensor_statistics import InputMoments, observe
from .trials.held_out_samples import HeldOut, SampleSet
from .trials.method_selection import SQNR, USER, TaskMetric, Verdict, verdict_on

SCHEME = "w4a16"
_MARK = "rockpress.scheme"
LIMIT = 7
# of the scale with which nothing is clipped: with so few steps, clipping the largest weights pays
_SHARES = np.linspace(1.0, 0.4, 13)
_METHODS = ("gptq", "mse", "min-max")
_TRIES = 4


def quantize_four_bits(
    model: ModelProto,
    output: Path,
    plan_path: Path,
    samples: Iterable[Feeds],
    held_out: SampleSet = (),
    *,
    method: str = AUTO,
    metric: TaskMetric | None = None,
    mix: FourBitMix | None = None,
    seed: int = 0,
    on_progress: Progress = lambda what, done, total: None,
) -> QuantizeResult:
    """Round the weights of a prepared model to 4 bits; see quantize.quantize for the arguments.

    ``method`` is gptq, mse (nearest, with the scale of least weighted error), min-max (nearest, no
    weight clipped) or auto, the best of them on the held-out samples. With ``mix`` some weights
    stay as they are, for float16. Writes a float model. Raises OptionError for a method that is
    about activations, SamplesError when there are none to try ``mix`` on, and what quantize raises.
    """
    if method not in (AUTO, *_METHODS):
        raise OptionError(
            f"{option('method', method)} is about the ranges of activations, which stay in "
            "float16 here",
            f"choose one of: {AUTO}, {', '.join(_METHODS)}",
        )
    require_to_choose_by(held_out, mix is not None and mix.below_db is None)
    graph = Graph(model)
    layers = _rounded_by_the_toolkit(layers_from(graph, weighted_nodes(graph)))
    require_quantizable(model, [layer.node for layer in layers])
    observer = partial(
        observe,
        model,
        (),
        layers,
        seed=seed,
        on_progress=lambda done: on_progress("calibrate", done, None),
    )
    observed = observer(samples)
    names = _METHODS if method == AUTO else (method,)
    names = names if len(held_out) else names[:1]
    made = {name: baked(model, _rounded(layers, observed.moments, name)) for name in names}
    with scratch_folder() as folder:
        kept = HeldOut(model, held_out, folder)
        steps, total = iter(range(1, 1 << 30)), len(names) * len(kept)
        trials = {
            name: kept.trial(one, metric, lambda: on_progress("compare", next(steps), total))
            for name, one in made.items()
            if len(kept)
        }
        verdict = verdict_on(trials, metric) if trials else Verdict(names[0], SQNR)
        best = verdict.best
        del made
        tried: list[Tradeoff] = []
        if mix is not None and mix.is_due(trials[best].sqnr_db if trials else None):
            before = _rounded(layers, observed.moments, best)

            def bake(some: Sequence[Layer]) -> ModelProto:
                return baked(model, {layer.name: before[layer.name] for layer in some})

            tried = mixed_with_float16(model, layers, bake, kept, mix, on_progress)
        if len(kept):  # they count as well once the method is chosen
            observed = observer(kept, before=observed)
    floating = mix.budget.best(tried).floating if mix is not None and tried else ()
    left = [layer for layer in layers if layer.node.input[1] not in floating]
    weights = _weights(layers, floating, best)
    plan = Plan(SCHEME, observed.count, {}, weights, {}, best, tradeoffs=tuple(tried))
    if method != AUTO:
        verdict = replace(verdict, chosen_by=USER)
    plan = compared(plan, len(held_out), trials, verdict, metric)
    rendered = baked(model, _rounded(left, observed.moments, best))
    rendered.metadata_props.add(key=_MARK, value=SCHEME)  # nothing else tells it from a float model
    with replacing(plan_path) as whole_plan:
        write_plan(plan, whole_plan)
        save_model(rendered, output)
    return QuantizeResult(output, plan_path, plan, underflow_notices(left))


def _rounded_by_the_toolkit(layers: Sequence[Layer]) -> list[Layer]:
    """The layers whose weights the toolkit rounds to 4 bits; it leaves the others in float16."""
    return [one for one in layers if one.groups == 1 and one.node.op_type != "ConvTranspose"]


def has_four_bits(model: ModelProto) -> bool:
    """Whether a float model was made by quantize_four_bits."""
    return any((one.key, one.value) == (_MARK, SCHEME) for one in model.metadata_props)


def _weights(layers: Sequence[Layer], floating: Collection[str], method: str) -> dict[str, Weight]:
    found = {}
    for layer in layers:
        name, channels = layer.node.input[1], layer.weight.shape[layer.axis]
        wide = name in floating
        kind, source = ("float16", "mixed precision") if wide else ("int4", method)
        found[name] = Weight(kind, layer.axis, channels, source)
    return found


def _rounded(
    layers: Sequence[Layer], moments: Mapping[str, InputMoments], method: str
) -> dict[str, Rounded]:
    return {layer.name: _layer(layer, moments.get(layer.name), method) for layer in layers}


def _layer(layer: Layer, seen: InputMoments | None, method: str) -> Rounded:
    """One layer's weight in steps of -7 to 7, and its corrected bias."""
    matrix = layer.matrix(layer.weight).astype(np.float64)
    scales = np.maximum(np.abs(matrix).max(axis=2) / LIMIT, 1e-8)
    if seen is None:
        return Rounded(_int8(layer, nearest(matrix, scales, LIMIT)), _flat(scales), layer.bias)
    covariance = seen.covariance
    if method != "min-max":
        variance = np.diagonal(covariance, axis1=1, axis2=2).reshape(layer.groups, 1, -1)
        scales = least_error_scales(matrix, variance, scales)
    steps = nearest(matrix, scales, LIMIT)
    if method == "gptq":
        steps, scales = _filled_gptq(matrix, seen.blocks, covariance, scales)
    whole = _int8(layer, steps)
    bias = layer.bias
    if bias is not None and method != "min-max":
        bias = bias + lost_mean(layer, whole, _flat(scales), seen).astype(np.float32)
    return Rounded(whole, _flat(scales), bias)


def least_error_scales(matrix: Float64, variance: Float64, scales: Float64) -> Float64:
    """The scale (groups, outputs) of every channel with the least error of the outputs.

    The error of each weight counts with the ``variance`` (groups, 1, inputs) of its input. No scale
    is larger than ``scales``, with which nothing is clipped. Nagel et al., "A White Paper on Neural
    Network Quantization" (arXiv 2106.08295), section 3.1, weighted.

    One large weight on an input that hardly varies is clipped for the sake of the others:

    >>> matrix = np.array([[[7.0, 3.4, 3.4]]])
    >>> least_error_scales(matrix, np.array([[[0.001, 1.0, 1.0]]]), np.ones((1, 1))).round(2)
    array([[0.85]])
    """
    best, least = scales, np.full(scales.shape, np.inf)
    for share in _SHARES:
        tried = scales * share
        lost = matrix - nearest(matrix, tried, LIMIT) * tried[:, :, None]
        error = (lost * lost * variance).sum(axis=2)
        best = np.where(error < least, tried, best)
        least = np.minimum(error, least)
    return best


def _filled_gptq(
    matrix: Float64, blocks: int, covariance: Float64, scales: Float64
) -> tuple[Float64, Float64]:
    """GPTQ such that every channel reaches 7, or the toolkit would choose another scale for it."""
    groups, outputs, _ = matrix.shape
    parts = matrix.reshape(groups, outputs, blocks, -1).transpose(0, 2, 1, 3)
    parts = parts.reshape(groups * blocks, outputs, -1)
    for _ in range(_TRIES):
        steps = gptq(parts, covariance, np.repeat(scales, blocks, axis=0), LIMIT)
        steps = steps.reshape(groups, blocks, outputs, -1).transpose(0, 2, 1, 3)
        steps = steps.reshape(groups, outputs, -1)
        largest = np.abs(steps).max(axis=2)
        if (largest == LIMIT).all():
            break
        scales = np.where(largest > 0, scales * np.maximum(largest, 1) / LIMIT, scales)
    return steps, scales


def _int8(layer: Layer, steps: Float64) -> np.ndarray[tuple[int, ...], np.dtype[np.int8]]:
    return layer.weight_like(steps).astype(np.int8)


def _flat(scales: Float64) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return scales.ravel().astype(np.float32)


def baked(model: ModelProto, rounded: Mapping[str, Rounded]) -> ModelProto:
    """A float copy of the model whose layers have the rounded weights, and their biases."""
    copy = ModelProto()
    copy.CopyFrom(model)
    graph = Graph(model)
    taken = set(graph.names)
    layers = {layer.name: layer for layer in layers_from(graph, weighted_nodes(graph))}
    for node in copy.graph.node:
        one = rounded.get(node.output[0]) if node.output else None
        if one is None:
            continue
        layer = layers[node.output[0]]
        each = one.scales.astype(np.float64).reshape(layer.groups, -1, 1)
        values = {1: layer.weight_like(layer.matrix(one.steps) * each)}
        if one.bias is not None and (len(node.input) > 2 or one.bias.any()):
            values[2] = one.bias
        for position, value in values.items():
            name = free_name(f"{node.output[0]}.{('weight', 'bias')[position - 1]}", taken)
            taken.add(name)
            tensor = numpy_helper.from_array(np.asarray(value, np.float32), name)
            copy.graph.initializer.append(tensor)
            del node.input[position : position + 1]
            node.input.insert(position, name)
    drop_unread(copy)
    return copy
