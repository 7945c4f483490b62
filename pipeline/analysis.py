"""What a model would cost on a chip, layer by layer, from the compiler alone: no data, no board.

The model is quantized as ``run`` would, but with ranges from one sample of noise: how fast a layer
is does not depend on the values. Measured: noise and real calibration samples give the same
cycles, layer by layer, for the demo model and for a text-direction classifier.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from onnx import helper

from ..convert.chips.compiler_log import Layer, Memory
from ..convert.chips.targets import Target
from ..convert.convert import Conversion, convert
from ..convert.handover import Sample
from ..convert.latency.estimate import Latency, LayerCost, layer_costs
from ..convert.request import ConversionRequest
from ..convert.toolkit.job import ToolkitPlan
from ..core.diagnostics import Diagnostic, in_order, option
from ..core.errors import ModelError, OptionError, SamplesError
from ..core.graphs.model import is_qdq, save_model
from ..core.passes.prepare import fixed_input_shapes
from ..core.progress import SILENT, Progress
from ..core.scratch import scratch_folder
from ..quantize.quantize import QuantizeResult, quantize
from .filled_recipe import fill_recipe
from .inspection import ModelFacts, facts_of
from .recipes.recipe import Recipe, targets_of
from .samples.input_sets import require_one_shape
from .samples.ready_model import ReadyModel, ready_model
from .tasks.converting import require_toolkit, toolkit_settings
from .tasks.plan_handover import ranges_of


@dataclass(frozen=True)
class Analysis:
    """One model on one chip: every layer in the order of the graph, and what it costs.

    Cycles are of one NPU core; ``bytes`` is the size of the .rknn. The rows of the model's inputs
    and outputs are among the layers (Layer.is_boundary).
    """

    target: str
    toolkit: str
    quantization: str
    bytes: int
    latency: Latency | None
    memory: Memory | None
    layers: tuple[Layer, ...]
    costs: tuple[LayerCost, ...]
    warnings: tuple[Diagnostic, ...]
    seconds: float

    @property
    def cycles(self) -> dict[str, int]:
        """Return the sums of DDR, NPU and Total (the larger of both, layer by layer)."""
        return {
            "ddr": sum(layer.ddr_cycles for layer in self.layers),
            "npu": sum(layer.npu_cycles for layer in self.layers),
            "total": sum(layer.total_cycles for layer in self.layers),
        }

    @property
    def by_cost(self) -> list[tuple[Layer, LayerCost]]:
        """Return the layers proper, the dearest first, in milliseconds or else cycles."""
        pairs = zip(self.layers, self.costs, strict=True)
        proper = [pair for pair in pairs if not pair[0].is_boundary]
        return sorted(proper, key=lambda pair: (-(pair[1].ms or 0.0), -pair[0].total_cycles))

    @property
    def on_cpu(self) -> int:
        """Count the layers on the CPU, without the model's inputs and outputs."""
        return sum(layer.runs_on == "CPU" and not layer.is_boundary for layer in self.layers)

    @property
    def shares(self) -> dict[str, float]:
        """Return the share of the time by what bounds the layers; {} without times."""
        total = sum(cost.ms or 0.0 for cost in self.costs)
        shares: dict[str, float] = {}
        for cost in self.costs:
            if cost.ms:
                shares[cost.bound] = shares.get(cost.bound, 0.0) + cost.ms / total
        return dict(sorted(shares.items(), key=lambda item: -item[1]))

    def document(self) -> dict[str, Any]:
        """Return the analysis as plain values, with every layer's cost in its row."""
        pairs = zip(self.layers, self.costs, strict=True)
        return {
            **{name: getattr(self, name) for name in ("target", "toolkit", "quantization")},
            "bytes": self.bytes,
            "cycles": self.cycles,
            "latency": asdict(self.latency) if self.latency else None,
            "memory": asdict(self.memory) if self.memory else None,
            "on_cpu": self.on_cpu,
            "shares": self.shares,
            "layers": [{**asdict(layer), **asdict(cost)} for layer, cost in pairs],
            "warnings": [asdict(warning.rendered()) for warning in self.warnings],
            "seconds": round(self.seconds, 3),
        }


def analyse_file(
    recipe: Recipe, progress: Progress = SILENT
) -> tuple[ModelFacts, tuple[Analysis, ...]]:
    """Return what is in ``recipe.model`` and what it costs on its targets.

    Raises RockpressError.
    """
    require_one_shape(recipe.shape, "inspect")
    filled = fill_recipe(recipe, "run")
    ready = ready_model(recipe.model, filled.recipe.shape)
    facts = replace(facts_of(ready), family=filled.family)
    return facts, analyse(ready, filled.recipe, progress)


def analyse(ready: ReadyModel, recipe: Recipe, progress: Progress = SILENT) -> tuple[Analysis, ...]:
    """Compile a model for every target of the recipe and say what each layer costs there.

    A float model is quantized to int8 first, or stays in float16, as the recipe's scheme says; a
    quantized one is taken as it is. Raises RockpressError.
    """
    targets = targets_of(recipe)
    for target in targets:
        _require_format(target, ready, recipe)
    require_toolkit(recipe.toolkit.toolkit_python)
    analyses = []
    with _compilable(ready, recipe, targets, progress) as compile_for:
        for target in targets:
            progress.stage(f"compile ({target.name})")
            analyses.append(_analysis(compile_for(target), target))
    return tuple(analyses)


def _require_format(target: Target, ready: ReadyModel, recipe: Recipe) -> None:
    quantized = is_qdq(ready.model)
    if quantized and not recipe.quantizes:
        raise OptionError(
            f"{ready.path} is quantized already (QDQ), so it cannot stay in float16",
            f"give the float model, or leave out {option('scheme', 'float16')}",
        )
    if recipe.quantize.scheme not in target.dtypes:
        instead = {
            "float16": f"leave out {option('scheme', 'float16')}",
            "w8a8": f"use {option('scheme', 'float16')}",
        }
        raise OptionError(
            f"{target.name} has no {recipe.quantize.scheme}",
            "give the float model" if quantized else instead[recipe.quantize.scheme],
        )


@contextmanager
def _compilable(
    ready: ReadyModel, recipe: Recipe, targets: Sequence[Target], progress: Progress
) -> Iterator[Callable[[Target], Conversion]]:
    """Yield a function that compiles the model for a target; its files are gone afterwards."""
    with scratch_folder() as folder:
        float_file = folder / f"{ready.path.stem}.onnx"
        save_model(ready.model, float_file)
        quantizes = recipe.quantizes and not is_qdq(ready.model)
        samples: Sequence[Sample] = ()
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
            return convert(request, progress)

        yield compile_for


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


def _analysis(conversion: Conversion, target: Target) -> Analysis:
    return Analysis(
        target=conversion.target,
        toolkit=conversion.toolkit,
        quantization=conversion.quantization,
        bytes=conversion.bytes,
        latency=conversion.latency,
        memory=conversion.memory,
        layers=conversion.layers,
        costs=layer_costs(conversion.layers, target, conversion.toolkit),
        warnings=in_order(conversion.warnings),
        seconds=conversion.seconds,
    )
