"""Several shapes of a model's inputs: whether each of them can be built into one ``.rknn``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from onnx import ModelProto, helper

from ...core.diagnostics import option
from ...core.errors import ModelError, OptionError
from ...core.passes.free_sizes import with_free_sizes
from ...core.passes.prepare import fixed_input_shapes, prepare_model
from ...core.session import Session
from ...core.types import Array, Shape
from ..options.sample_options import ModelOptions
from .ready_model import ReadyModel

_TOLERANCE = 1e-3  # of the largest value; both compute the same in another order


def require_one_shape(options: ModelOptions, verb: str) -> None:
    """Raise OptionError where a verb that makes no ``.rknn`` is given several shapes."""
    if options.input_sets:
        name, shape = next(iter(options.input_sets[0].items()))
        raise OptionError(
            f"{verb} takes one shape of an input, {option('input')} has several of {name!r}",
            f"give the largest, {option('input', {name: list(shape)})}; run and convert take "
            "several",
        )


def ready_in_all(ready: ReadyModel, options: ModelOptions) -> ReadyModel:
    """Return the model with Reshapes that take all shapes of its inputs.

    What else was computed from the largest stays in it, so it has to give what the original made
    ready in each other shape gives. Raises OptionError for a shape in which it does not.
    """
    if not options.input_sets:
        return ready
    originals = [_prepared(ready, shapes) for shapes in options.input_sets[1:]]
    free = replace(ready, model=with_free_sizes(ready.model, originals))
    for shapes, original in zip(options.input_sets[1:], originals, strict=True):
        try:
            works = _works_as(original, free.model)
        except ModelError as error:
            raise _refused(shapes, f"fails: {error.diagnostic.text}") from error
        if not works:
            raise _refused(shapes, "computes something else")
    return free


def _prepared(ready: ReadyModel, shapes: Mapping[str, Shape]) -> ModelProto:
    try:
        return prepare_model(ready.original, {**ready.inputs, **shapes})
    except ModelError as error:
        raise _refused(shapes, f"fails: {error.diagnostic.text}") from error


def _refused(shapes: Mapping[str, Shape], text: str) -> OptionError:
    named = " ".join(option("input", {name: list(shape)}) for name, shape in shapes.items())
    return OptionError(
        f"{named}: with the sizes that the largest shape gives it, the model {text}",
        "leave that shape out, and convert it to a file of its own",
    )


def _works_as(original: ModelProto, model: ModelProto) -> bool:
    """Return whether a model computes in the shapes of the original what that does."""
    inputs = fixed_input_shapes(original)
    feeds = _feeds(original, inputs)
    changed = Session(_reshaped(model, inputs), optimise=False).run(feeds)
    return all(map(_is_close, changed, Session(original, optimise=False).run(feeds)))


def _reshaped(model: ModelProto, inputs: Mapping[str, Shape]) -> ModelProto:
    """Return a copy with other shapes of its inputs, and nothing said of those that follow."""
    copy = ModelProto()
    copy.CopyFrom(model)
    del copy.graph.value_info[:]
    for value in copy.graph.output:
        value.type.tensor_type.ClearField("shape")
    for value in copy.graph.input:
        for dim, size in zip(value.type.tensor_type.shape.dim, inputs[value.name], strict=True):
            dim.dim_value = size
    return copy


def _feeds(model: ModelProto, inputs: Mapping[str, Shape]) -> dict[str, Array]:
    """Return noise for each input from 0 to 1, which is 0 as an integer."""
    random = np.random.default_rng(0)
    types = {value.name: value.type.tensor_type.elem_type for value in model.graph.input}
    return {
        name: np.asarray(random.random(shape), helper.tensor_dtype_to_np_dtype(types[name]))
        for name, shape in inputs.items()
    }


def _is_close(output: Array, expected: Array) -> bool:
    if output.shape != expected.shape:
        return False
    largest = float(np.max(np.abs(expected), initial=0))
    return np.allclose(output, expected, _TOLERANCE, _TOLERANCE * largest, equal_nan=True)
