"""State in, state out: samples that hold a stream's frames alone get the states of the float model.

A model of a stream takes, beside a frame, what it gave with the frame before. Zeros or noise there
would calibrate and compare it in states that it is never in.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import SequenceMatcher
from tempfile import TemporaryFile

import numpy as np
from onnx import ModelProto, helper

from ...calibration_data.batches import fitted_tensor
from ...calibration_data.sources.source_types import TensorSource
from ...calibration_data.stream_states import StreamStates
from ...core.passes.prepare import fixed_input_shapes
from ...core.scratch import temporary_space
from ...core.session import Session
from ...core.types import Array, Shape

_LEAST_ALIKE = 0.4  # of the letters of two names, such as h_in and h_out


def with_states(source: TensorSource, model: ModelProto) -> TensorSource:
    """Return the samples with each state that the prepared model takes and they do not hold.

    The first sample has zeros, each other what the model gave with the one before. A state is an
    input for which there is an output of its shape with a name like its own; of several of one
    shape, the first input belongs to the first output. Returns the source itself where inputs are
    left that are no states.
    """
    inputs = fixed_input_shapes(model)
    held = set(source.tensors(0))
    missing = [name for name in inputs if name not in held]
    if len(inputs) == 1 or not missing or held - set(inputs) - {""}:
        return source
    session = Session(model)
    values = session.run(_zeros(model, inputs))
    outputs = {name: value.shape for name, value in zip(session.output_names, values, strict=True)}
    pairs = _pairs({name: inputs[name] for name in missing}, outputs)
    frames = [name for name in missing if name not in pairs]
    if not pairs or len(frames) != (held == {""}):
        return source
    frame = frames[0] if frames else ""
    return StreamStates(source, frame, _rolled(session, source, inputs, pairs, frame))


def _pairs(inputs: Mapping[str, Shape], outputs: Mapping[str, Shape]) -> dict[str, str]:
    """Return state's input -> the output that is the next state.

    >>> outputs = {"speech": (1, 1), "hn": (2, 1, 64), "cn": (2, 1, 64)}
    >>> _pairs({"input": (1, 512), "h": (2, 1, 64), "c": (2, 1, 64)}, outputs)
    {'h': 'hn', 'c': 'cn'}
    """
    pairs: dict[str, str] = {}
    for shape in dict.fromkeys(inputs.values()):
        ins = [name for name, taken in inputs.items() if taken == shape]
        outs = [name for name, given in outputs.items() if given == shape]
        if len(ins) == len(outs) and all(map(_are_alike, ins, outs)):
            pairs |= dict(zip(ins, outs, strict=True))
    return pairs


def _are_alike(first: str, second: str) -> bool:
    return SequenceMatcher(None, first, second).ratio() >= _LEAST_ALIKE


def _zeros(model: ModelProto, inputs: Mapping[str, Shape]) -> dict[str, Array]:
    types = {value.name: value.type.tensor_type.elem_type for value in model.graph.input}
    return {
        name: np.zeros(shape, helper.tensor_dtype_to_np_dtype(types[name]))
        for name, shape in inputs.items()
    }


def _rolled(
    session: Session,
    source: TensorSource,
    inputs: Mapping[str, Shape],
    pairs: Mapping[str, str],
    frame: str,
) -> dict[str, Array]:
    """Return input -> its states (samples, ...), in files of their own: they may be many."""
    count = len(source)
    rolled = {name: _on_disk((count, *inputs[name])) for name in pairs}
    for index in range(count):
        named = {name or frame: value for name, value in source.tensors(index).items()}
        feeds = {
            name: fitted_tensor(value, inputs[name], name, source.name(index))
            for name, value in named.items()
        }
        feeds |= {name: np.array(values[index]) for name, values in rolled.items()}
        if index + 1 < count:
            given = session.run(feeds, list(pairs.values()))
            for name, value in zip(pairs, given, strict=True):
                rolled[name][index + 1] = value
    return rolled


def _on_disk(shape: Shape) -> Array:
    with temporary_space(), TemporaryFile() as file:  # the map keeps it
        return np.memmap(file, np.float32, "w+", shape=shape)
