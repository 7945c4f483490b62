"""One pass over a model's inner tensors, sample by sample, in constant memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
from onnx import ModelProto, ValueInfoProto

from ..diagnostics import option
from ..errors import ModelError, NaNSampleError, SamplesError
from ..session import Session
from ..trim_heap import trim_heap
from ..types import Array


def stream(
    model: ModelProto,
    tensors: Sequence[str],
    samples: Iterable[Mapping[str, Array]],
    observe: Callable[[Mapping[str, Array]], None],
    on_progress: Callable[[int], None] = lambda done: None,
    *,
    optimise: bool = True,
    is_checked: bool = True,
) -> int:
    """Run the model on every sample and give ``observe`` the values of the named tensors.

    ``samples`` yields feeds (input name -> array). ``observe`` gets tensor name -> array once a
    sample and must copy what it keeps. ``on_progress`` gets the number of samples done, which is
    returned at the end. Inputs of the model may be named too. ``optimise=False`` is for quantized
    models; without ``is_checked`` it is ``observe`` that looks for NaN. Raises ModelError for a
    name that the graph does not compute, SamplesError when there is no sample or when one gives
    NaN.
    """
    names = list(dict.fromkeys(tensors))
    inputs = {value.name for value in model.graph.input}
    inner = [name for name in names if name not in inputs]
    session = Session(with_outputs(model, inner), optimise=optimise)
    trim_heap()
    done = 0
    for feeds in samples:
        values = dict(zip(inner, session.run(feeds, inner), strict=True)) if inner else {}
        observed = {name: values.get(name, feeds.get(name)) for name in names}
        observe(_checked(observed, done, is_checked))
        del values, observed  # before the next ones are made
        done += 1
        on_progress(done)
    if not done:
        raise no_samples()
    del session
    trim_heap()
    return done


def no_samples() -> SamplesError:
    """Return the error of a pass over samples that has none."""
    hint = f"give some with {option('calib')}"
    return SamplesError("there are no samples to run the model on", hint)


def with_outputs(model: ModelProto, tensors: Iterable[str]) -> ModelProto:
    """Return a copy of the model in which the named tensors are outputs as well.

    Raises ModelError for a name that no node of the main graph computes.
    """
    copy = ModelProto()
    copy.CopyFrom(model)
    computed = {name for node in model.graph.node for name in node.output if name}
    outputs = {value.name for value in model.graph.output}
    for name in tensors:
        if name not in computed:
            raise ModelError(
                f"the model computes no tensor {name!r}", "rockpress inspect lists its tensors"
            )
        if name not in outputs:
            # without a type: ONNX Runtime infers it, and a wrong guess would be an error
            copy.graph.output.append(ValueInfoProto(name=name))
            outputs.add(name)
    return copy


def lowest_of(values: Array, name: str, index: int) -> float:
    """Return the lowest value of a tensor on a sample, 0 of none.

    Raises NaNSampleError.
    """
    lowest = float(values.min()) if values.size else 0.0
    if np.isnan(lowest):
        scaling = f"{option('mean')} and {option('std')}"
        raise NaNSampleError(
            f"sample {index} gives NaN in the tensor {name!r}",
            f"look at the sample, at {scaling}, and whether the model itself gives NaN",
            index=index,
            tensor=name,
        )
    return lowest


def _checked(values: Mapping[str, Array | None], index: int, is_checked: bool) -> dict[str, Array]:
    checked: dict[str, Array] = {}
    for name, value in values.items():
        if value is None:
            text = f"sample {index} has no array for the input {name!r}"
            raise SamplesError(text, "give every input an array")
        if is_checked and value.dtype.kind == "f":
            lowest_of(value, name, index)
        checked[name] = value
    return checked
