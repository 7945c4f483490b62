"""What a conversion is asked for by a recipe: shared by ``run`` and the single commands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ...calibration_data.preprocess import Preprocess
from ...calibration_data.samples import Samples
from ...convert.chips.targets import Target
from ...convert.handover import Sample
from ...convert.request import ConversionRequest, ToolkitSettings
from ...core.progress import Progress
from ..recipes.recipe import Recipe
from .stage_log import Step


@dataclass(frozen=True)
class NpuFeeds:
    """What the NPU is fed of ``samples``, one at a time."""

    samples: Samples

    def __iter__(self) -> Iterator[Sample]:
        return (self.samples.npu_feeds(index) for index in range(len(self.samples)))

    def digest(self) -> str:
        """Return the digest of the samples, which decide it."""
        return self.samples.digest()


class StepProgress(Progress):
    """Hands steps on to the function that takes those of a stage."""

    def __init__(self, step: Step) -> None:
        self._step = step

    def step(self, activity: str, done: int, total: int | None = None) -> None:
        """Hand on one step."""
        self._step(activity, done, total)


def conversion_request(
    recipe: Recipe,
    model: Path,
    output: Path | None,
    target: Target,
    preprocess: Preprocess | None,
) -> ConversionRequest:
    """Return the request to convert one file the way that it says itself, with the recipe's limits.

    With a ``preprocess`` the result takes pixels, mean and std inside, else tensors.
    """
    return ConversionRequest(
        model,
        output,
        target.name,
        mean=preprocess.mean if preprocess else None,
        std=preprocess.std if preprocess else None,
        toolkit=toolkit_settings(recipe),
    )


def toolkit_settings(recipe: Recipe) -> ToolkitSettings:
    """Return what a recipe says of how the toolkit is run."""
    return ToolkitSettings(
        recipe.toolkit.toolkit_python, recipe.toolkit.timeout, recipe.toolkit.memory_limit, recipe.processes
    )
