"""What a model would cost on a chip, layer by layer, from the compiler alone: no data, no board."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from ..convert.chips.compiler_log import Layer
from ..convert.convert import Conversion, costs_of
from ..convert.latency.estimate import Latency, LayerCost
from ..core.diagnostics import Diagnostic, in_order
from ..core.progress import SILENT, Progress
from ..core.results.model_figures import LatencyFigure, Memory, ThroughputFigure
from ..report.text.latency_text import bound_shares
from .figures.build_figures import latency_figures, throughput_figures
from .filled_recipe import fill_recipe
from .inspection import ModelFacts, facts_of
from .measured_scales import measured_models
from .noise_builds import compilable, require_format
from .recipes.recipe import Recipe, targets_of
from .samples.input_sets import require_one_shape
from .samples.ready_model import ReadyModel, ready_model
from .tasks.installed_toolkit import require_toolkit


@dataclass(frozen=True)
class Analysis:
    """One model on one chip: every layer in the order of the graph, and what it costs.

    Cycles are of one NPU core; ``bytes`` is the size of the .rknn. ``figures`` are the latency of
    the NPU alone and in an application. The rows of the model's inputs and outputs are among the
    layers (Layer.is_boundary).
    """

    target: str
    toolkit: str
    quantization: str
    bytes: int
    latency: Latency | None
    figures: tuple[LatencyFigure, ...]
    throughput: tuple[ThroughputFigure, ...]
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
        return bound_shares((cost.bound, cost.ms) for cost in self.costs)

    def document(self) -> dict[str, Any]:
        """Return the analysis as plain values, with every layer's cost in its row."""
        pairs = zip(self.layers, self.costs, strict=True)
        return {
            **{name: getattr(self, name) for name in ("target", "toolkit", "quantization")},
            "bytes": self.bytes,
            "cycles": self.cycles,
            "latency": asdict(self.latency) if self.latency else None,
            "application": next(map(asdict, self.figures[1:]), None),
            "throughput": [asdict(rate) for rate in self.throughput],
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
        require_format(target, ready, recipe)
    require_toolkit(recipe.toolkit.toolkit_python)
    measured = measured_models(recipe, targets, progress)
    analyses = []
    with compilable(ready, recipe, targets, progress) as compile_for:
        for target in targets:
            progress.stage(f"compile ({target.name})")
            built = measured.applied(compile_for(target), recipe.model)
            analyses.append(_analysis(built))
    return tuple(analyses)


def _analysis(conversion: Conversion) -> Analysis:
    return Analysis(
        target=conversion.target,
        toolkit=conversion.toolkit,
        quantization=conversion.quantization,
        bytes=conversion.bytes,
        latency=conversion.latency,
        figures=latency_figures(conversion),
        throughput=throughput_figures(conversion),
        memory=conversion.memory,
        layers=conversion.layers,
        costs=costs_of(conversion),
        warnings=in_order(conversion.warnings),
        seconds=conversion.seconds,
    )
