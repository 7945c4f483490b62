"""Builds of a model from no data, for what the compiler says of its layers.

The model is quantized as ``run`` would, but with ranges from one sample of noise: how fast a layer
is does not depend on the values. Measured: noise and real calibration samples give the same
cycles, layer by layer, for the demo model and for a text-direction classifier.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from onnx import helper

from ..convert.chips.targets import Target, require_dtype
from ..convert.convert import Conversion, convert
from ..convert.handover import Sample
from ..convert.request import ConversionRequest
from ..convert.toolkit.job import ToolkitPlan
from ..core.diagnostics import option
from ..core.errors import ModelError, OptionError, SamplesError
from ..core.graphs.graph import Graph
from ..core.graphs.model import is_qdq, save_model
from ..core.passes.prepare import fixed_input_shapes
from ..core.progress import Progress
from ..core.scratch import scratch_folder
from ..quantize.quantize import QuantizeResult, quantize
from ..quantize.schemes import marked_scheme
from .recipes.recipe import Recipe
from .samples.ready_model import ReadyModel
from .tasks.converting import toolkit_settings
from .tasks.plan_handover import handover_of, ranges_of


def require_format(target: Target, ready: ReadyModel, recipe: Recipe) -> None:
    """Raise OptionError where the chip or the model cannot have the number format of the recipe."""
    quantized, rounded_for = is_qdq(ready.model), marked_scheme(ready.model)
    if (quantized or rounded_for) and not recipe.quantizes:
        form = "QDQ" if rounded_for is None else rounded_for.name
        raise OptionError(
            f"{ready.path} is quantized already ({form}), so it cannot stay in float16",
            f"give the float model, or leave out {option('scheme', 'float16')}",
        )
    if rounded_for is not None:
        require_dtype(target, rounded_for.name)
        return
    instead = {
        "float16": f"leave out {option('scheme', 'float16')}",
        "w8a8": "give the float model" if quantized else f"use {option('scheme', 'float16')}",
    }
    scheme = recipe.quantize.scheme
    require_dtype(target, scheme, instead.get(scheme, ""))


@contextmanager
def compilable(
    ready: ReadyModel, recipe: Recipe, targets: Sequence[Target], progress: Progress
) -> Iterator[Callable[[Target], Conversion]]:
    """Yield a function that compiles the model for a target; its files are gone afterwards."""
    with scratch_folder() as folder:
        float_file = folder / f"{ready.path.stem}.onnx"
        save_model(ready.model, float_file)
        rounded = _rounded_before(ready)
        quantizes = recipe.quantizes and not is_qdq(ready.model) and rounded is None
        samples: Sequence[Sample] = [_noise(ready, recipe.run.seed)] if rounded is not None else ()
        forms: dict[str | None, tuple[Path, ToolkitPlan]] = {}
        if quantizes:
            progress.stage("quantize")
            samples = [_noise(ready, recipe.run.seed)]
        for wide in {target.wide_in_qdq: None for target in targets} if quantizes else ():
            file = folder / (wide or "int8") / float_file.name
            file.parent.mkdir()
            plan = _quantize(ready, file, samples, wide).plan
            forms[wide] = file, ranges_of(plan, ready.model)

        def compile_for(target: Target) -> Conversion:
            model, ranges = forms.get(target.wide_in_qdq, (float_file, None))
            request = ConversionRequest(
                model,
                None,
                target.name,
                calibration=samples,
                float_model=float_file if quantizes else None,
                plan=ranges,
                probe=False,
                toolkit=toolkit_settings(recipe.toolkit),
            )
            return convert(replace(request, **(rounded or {})), progress)

        yield compile_for


def _rounded_before(ready: ReadyModel) -> dict[str, Any] | None:
    """Return how a float model whose weights were rounded to few bits is converted, if it is one.

    These tell what its plan leaves in float16.
    """
    scheme, graph = marked_scheme(ready.model), Graph(ready.model)
    plan = scheme.plan_of(graph) if scheme else None
    if plan is None:
        return None
    handover = handover_of(plan)
    ranges = ranges_of(plan, ready.model) if handover.takes_ranges else None
    return {"quantization": handover.quantizer, "dtype": handover.dtype, "plan": ranges}


def _quantize(
    ready: ReadyModel, output: Path, samples: Sequence[Sample], wide: str | None
) -> QuantizeResult:
    try:
        plan = output.with_suffix(".plan.toml")
        return quantize(
            ready.model,
            output,
            plan,
            samples,
            method="min-max",
            wide=wide,
            has_float16=wide is not None,
        )
    except SamplesError as error:  # the sample is ours, so what it says of samples is no help
        raise ModelError(
            f"{ready.path} computes NaN from noise, so its ranges cannot be told without data",
            "quantize it with real samples and inspect the result, or use "
            f"{option('scheme', 'float16')}",
        ) from error


def _noise(ready: ReadyModel, seed: int) -> Sample:
    """Return one sample: uniform from 0 to 1, and 0 for integers, which may be indices."""
    random = np.random.default_rng(seed)
    types = {value.name: value.type.tensor_type.elem_type for value in ready.model.graph.input}
    feeds = {}
    for name, shape in fixed_input_shapes(ready.model).items():
        dtype = np.dtype(helper.tensor_dtype_to_np_dtype(types[name]))
        values = random.uniform(size=shape) if dtype.kind == "f" else np.zeros(shape)
        feeds[name] = values.astype(dtype)
    return feeds
