"""The stages themselves, joined to what they need: shared by ``run`` and the single commands."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ...calibration_data.preprocess import Preprocess
from ...calibration_data.samples import Samples
from ...convert.chips.targets import Target
from ...convert.convert import Conversion, convert
from ...convert.handover import Sample
from ...convert.toolkit.job import Ranges
from ..recipes.recipe import Recipe
from .stage_log import Step


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
    sparse: bool | None = None,
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
        sparse=sparse,
        timeout=recipe.toolkit.timeout,
        memory_limit_gb=recipe.toolkit.memory_limit,
        processes=recipe.processes,
        toolkit_python=recipe.toolkit.toolkit_python,
        on_progress=lambda line: _told(line, step),
    )


def _told(line: str, step: Step) -> None:
    """A progress line of the child as a step; it says ``simulate 50/200`` of samples."""
    what, _, detail = line.partition(" ")
    done, slash, total = detail.partition("/")
    if what == "simulate" and slash:
        step(what, int(done), int(total))
    else:
        step(line, 0, None)
