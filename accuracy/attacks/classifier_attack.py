"""Attacks on a classifier's labelled images: what each makes of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from ...calibration_data.images.geometry import Pixels
from ...calibration_data.samples import Samples
from ...calibration_data.sources.labels import Classes
from ...core.progress import SILENT, Progress
from ...core.types import Float32, Float64
from .class_scores import ScoredModel, label_margins
from .input_pixels import InputPixels, in_pixel_order, input_pixels, normalised_pixels
from .projected_gradient import projected_gradient
from .square import Places, SearchBounds, square_attack

# inputs (N, *shape) and their classes (N,) -> the gradient of a loss at the inputs, of their shape
InputGradients = Callable[[Float32, Classes], Float32]


@dataclass(frozen=True)
class ClassifierAttack:
    """Labelled images that are to be changed until a model's ``k`` best classes lack the label.

    Images that the attacked model has wrong are left as they are. The same seed gives the same
    random numbers, whatever the model. Raises SamplesError.
    """

    samples: Samples
    labels: Classes
    k: int
    bounds: SearchBounds
    seed: int
    images: InputPixels = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "images", input_pixels(self.samples))

    def by_scores(
        self,
        model: ModelProto,
        tensor: str,
        *,
        optimise: bool,
        progress: Progress = SILENT,
        activity: str = "attack",
    ) -> Pixels:
        """Return what Square Attack makes of them, by the scores ``tensor`` of a model."""
        scored = ScoredModel(model, tensor, self.samples, optimise=optimise)

        def margins(pixels: Pixels, places: Places) -> Float64:
            return label_margins(scored.scores(pixels), self.labels[places], self.k)

        return square_attack(self.images, margins, self.bounds, self.seed, progress, activity)

    def by_gradients(
        self,
        gradients: InputGradients,
        is_right: NDArray[np.bool_],
        progress: Progress = SILENT,
        activity: str = "attack",
    ) -> Pixels:
        """Return what PGD makes of those images (N,) that are right, and the others as they are."""

        def at_pixels(pixels: Float32) -> Float32:
            values = gradients(normalised_pixels(self.samples, pixels), self.labels)
            return in_pixel_order(self.samples, values)

        epsilon = self.bounds.epsilon
        changed = projected_gradient(self.images, at_pixels, epsilon, self.seed, progress, activity)
        return np.where(is_right[:, None, None, None], changed, self.images.pixels)
