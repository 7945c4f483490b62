"""The stages themselves, joined to what they need: shared by ``run`` and the single commands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from onnx import ModelProto

from ..calibration_data.preprocess import Preprocess
from ..calibration_data.samples import Samples
from ..convert.convert import Conversion, convert
from ..convert.cycles import layer_cycles
from ..convert.samples import Sample
from ..convert.targets import Target
from ..convert.toolkit import Ranges
from ..core.layers import LayerShape
from ..prune.allocate import Cost
from ..prune.prune import Budget, PruneResult, macs_cost, prune, size_cost
from .recipe import Recipe
from .stages import Step

# channels at which multiply-accumulates and size change visibly; the chips' steps do not matter
_FINE_STEP = 8


def cost_of(budget: Budget, target: Target, dtype: str) -> tuple[Cost, int]:
    """The cost function of a budget, and the number of channels at which it changes."""
    if budget.kind == "macs":
        return macs_cost, _FINE_STEP
    if budget.kind == "size":
        return size_cost, _FINE_STEP

    def cycles(layers: Sequence[LayerShape]) -> float:
        return sum(layer_cycles(layer, target, dtype) for layer in layers)

    return cycles, target.cout_step


def prune_step(
    model: ModelProto,
    output: Path,
    calib: Samples,
    budget: Budget,
    target: Target,
    *,
    dtype: str,
    recover: str,
    seed: int,
    step: Step,
) -> PruneResult:
    """Prune a prepared model to a budget on a target; see prune.prune."""
    cost, channels = cost_of(budget, target, dtype)
    return prune(
        model,
        output,
        calib,
        budget,
        cost=cost,
        step=channels,
        recover=recover,
        seed=seed,
        on_progress=step,
    )


def npu_feeds(samples: Samples) -> Iterator[Sample]:
    """What the NPU is fed, sample by sample."""
    return (samples.npu_feeds(index) for index in range(len(samples)))


def convert_step(
    model: Path,
    output: Path | None,
    target: Target,
    recipe: Recipe,
    *,
    how: Preprocess | None,
    quantization: str = "auto",
    dtype: str | None = None,
    calib: Samples | None = None,
    simulate: Samples | None = None,
    float_model: Path | None = None,
    plan: Ranges | None = None,
    level: int | None = None,
    step: Step = lambda what, done, total: None,
) -> Conversion:
    """Convert one file; with ``how`` it takes pixels, mean and std inside, else tensors."""
    return convert(
        model,
        output,
        target.name,
        quantization=quantization,
        dtype=dtype,
        mean=how.mean if how else None,
        std=how.std if how else None,
        calibration=npu_feeds(calib) if calib is not None else (),
        simulate=npu_feeds(simulate) if simulate is not None else None,
        float_model=float_model,
        plan=plan,
        level=level,
        timeout=recipe.timeout,
        memory_limit_gb=recipe.memory_limit_gb,
        toolkit_python=recipe.toolkit_python,
        on_progress=lambda what: step(what, 0, None),
    )
