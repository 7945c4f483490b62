"""A quantized model in training: rounding by straight-through, its loss, and how it is judged.

A weight is trained in units of its steps, W = s * clip(round(v)), and the gradient of the rounding
is taken for 1 (the straight-through estimator); the scale s is trained too: S. Esser et al.,
"Learned step size quantization" (ICLR 2020, arXiv 1902.08153). Activations are rounded as the plan
says. Beside the outputs the ends of blocks are compared, as in Y. Li et al., "BRECQ: pushing the
limit of post-training quantization by block reconstruction" (ICLR 2021, arXiv 2102.05426), but all
at once, so that early weights make up for what later ones lose. They count most: they have many
values a sample, while the outputs alone are soon learnt by heart.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from ...core.graphs.graph import Graph
from ...core.training.output_loss import compared_tensors, loss, value_loss
from ...core.training.stored_samples import StoredSamples, batch_size
from ...core.training.torch_graph import TorchGraph
from ...core.training.torch_layers import Tensor
from ...core.training.torch_operators import rounded
from ...core.training.training_loop import Validation
from ...core.types import Array, Feeds, Float32
from ..trials.held_out_samples import HeldOut, logits_of
from .block_ends import block_ends
from .quantized_student import Grid, QuantizedStudent

_STEP_RATE = 0.006  # steps of a weight's grid, by which it moves at most
_SCALE_RATE = 7e-4  # of a scale
_PLAIN_RATE = 7e-4  # of the size of a tensor
_SMALL = 1e-3  # the size of a tensor of zeros
_EDGE = 0.4  # steps from its own, at most, that a weight begins
_BEGIN = 0.5  # of the way from there to the unrounded weight: what GPTQ chose is to last
_OUTPUTS = 0.04  # weight of the outputs beside the mean over the ends of blocks


class QuantizedTraining:
    """A quantized student that a TrainingLoop trains to its teacher's outputs.

    Its best state is the one of the highest SQNR on the samples ``held_out``, as a trial there
    measures it; ``unseen`` are these samples as they are stored.
    """

    def __init__(
        self,
        student: QuantizedStudent,
        teacher: ModelProto,
        rows: StoredSamples,
        unseen: StoredSamples,
        held_out: HeldOut,
        seed: int,
    ) -> None:
        import torch

        self._torch: Any = torch
        self._seed, self._rows = seed, rows
        self._unseen, self._held_out = unseen, held_out
        self._model = student
        self._teacher = TorchGraph(teacher, [])
        self._student = TorchGraph(student.model, [])
        self._compared = compared_tensors(teacher)
        self._names = [tensor.name for tensor in self._compared]
        producers = Graph(student.model).producers
        self._ends = [name for name in block_ends(Graph(teacher)) if name in producers]
        self._size = min(len(rows), batch_size(teacher))
        self._weights = {name: _GridWeight(torch, grid) for name, grid in student.grids.items()}
        self._plain = {
            name: torch.from_numpy(np.array(value)).requires_grad_()
            for name, value in student.plain.items()
        }
        self._logits = logits_of(student.model)
        self._judged = [*Graph(student.model).output_names, *(each.tensor for each in self._logits)]
        batches = unseen.batches(self._size)
        self._references = [self._outputs_of_teacher(feeds) for feeds in batches]

    def rendered(self) -> ModelProto:
        """Return the quantized model with the parameters as they are now."""
        steps = {name: weight.steps() for name, weight in self._weights.items()}
        scales = {name: weight.scales() for name, weight in self._weights.items()}
        plain = {name: value.detach().numpy() for name, value in self._plain.items()}
        return self._model.rendered(steps, scales, plain)

    def parameters(self) -> list[tuple[Tensor, float]]:
        """Return the weights in steps, the logarithms of their scales' growth, all else."""
        sized: list[tuple[Tensor, float]] = []
        for weight in self._weights.values():
            sized += [(weight.exact, _STEP_RATE), (weight.growth, _SCALE_RATE)]
        for value in self._plain.values():
            size = float(value.detach().square().mean().sqrt()) + _SMALL
            sized.append((value, _PLAIN_RATE * size))
        return sized

    def step_loss(self, step: int) -> Tensor:
        """Return the distance of the outputs from the teacher's, and of the ends of blocks."""
        rng = np.random.default_rng([self._seed, step])
        chosen = rng.choice(len(self._rows), self._size, replace=False)
        feeds = self._tensors(self._rows.take(chosen))
        names = [*self._names, *self._ends]
        with self._torch.no_grad():
            targets = self._teacher(feeds, names)
        values = self._student(feeds, names, self._computed())
        count = len(self._names)
        error = self._loss(targets[:count], values[:count])
        if self._ends:
            pairs = zip(targets[count:], values[count:], strict=True)
            blocks = sum(value_loss(a, b) for a, b in pairs) / len(self._ends)
            error = _OUTPUTS * error + blocks
        return error

    def constrain(self) -> None:
        """Change nothing: what a weight must not leave is in how it is rounded."""

    def _loss(self, targets: list[Tensor], values: list[Tensor]) -> Tensor:
        return loss(self._compared, targets, values, centred=False)

    def _tensors(self, feeds: Mapping[str, Array]) -> dict[str, Tensor]:
        return {name: self._torch.from_numpy(value) for name, value in feeds.items()}

    def _computed(self) -> dict[str, Tensor]:
        rounded_weights = {name: weight() for name, weight in self._weights.items()}
        return {**rounded_weights, **self._plain}

    def _outputs_of_teacher(self, feeds: Mapping[str, Array]) -> list[Tensor]:
        with self._torch.no_grad():
            targets: list[Tensor] = self._teacher(self._tensors(feeds), self._names)
        return targets

    def validate(self) -> Validation:
        """Return the loss of the outputs on the held-out samples; the score is the SQNR in dB."""
        losses: list[float] = []
        db = self._held_out.mean_db(self._held_out_tensors(losses), self._logits)
        return Validation(sum(losses) / len(self._unseen), db)

    def _held_out_tensors(self, losses: list[float]) -> Iterator[Feeds]:
        """Yield what each held-out sample is judged by; append the loss of each batch, summed."""
        weights, count = self._computed(), len(self._names)
        batches = self._unseen.batches(self._size)
        for feeds, targets in zip(batches, self._references, strict=True):
            with self._torch.no_grad():
                names = [*self._names, *self._judged]
                values = self._student(self._tensors(feeds), names, weights)
                losses.append(len(values[0]) * float(self._loss(targets, values[:count])))
            for sample in zip(*(value.numpy() for value in values[count:]), strict=True):
                yield dict(zip(self._judged, sample, strict=True))


class _GridWeight:
    """One weight: ``exact`` are its values in steps before rounding, ``growth`` that of scales."""

    def __init__(self, torch: Any, grid: Grid) -> None:
        self._grid, self._torch = grid, torch
        near = grid.steps + np.clip(_BEGIN * (grid.exact - grid.steps), -_EDGE, _EDGE)
        self.exact = torch.from_numpy(near.astype(np.float32)).requires_grad_()
        self.growth = torch.zeros(len(grid.scales), requires_grad=True)
        self._movable = torch.from_numpy(grid.movable)
        self._held = torch.from_numpy(grid.steps.astype(np.float32))
        shape = [-1 if axis == grid.axis else 1 for axis in range(grid.steps.ndim)]
        self._first = torch.from_numpy(grid.scales.copy()).reshape(shape)
        self._shape = shape

    def _rounded(self) -> Tensor:
        steps = rounded(self.exact, -self._grid.limit, self._grid.limit)
        return self._torch.where(self._movable, steps, self._held)

    def __call__(self) -> Tensor:
        """Return the weight that is run."""
        return self._rounded() * self._first * self.growth.reshape(self._shape).exp()

    def steps(self) -> NDArray[np.int8]:
        """Return the integers."""
        integers: NDArray[np.int8] = self._rounded().detach().numpy().astype(np.int8)
        return integers

    def scales(self) -> Float32:
        """Return one a channel."""
        scaled = self._first.flatten() * self.growth.exp()
        values: Float32 = scaled.detach().numpy()
        return values
