"""A pruned model in training: its mini-batches, its loss, and how it is judged."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import ModelProto

from ...core.training.output_loss import compared_tensors, loss
from ...core.training.stored_samples import StoredSamples, batch_size, outputs_of
from ...core.training.torch_graph import TorchGraph
from ...core.training.torch_layers import Tensor
from ...core.training.training_loop import Validation
from ...core.types import Array
from ..search.divergence import divergence

RATE = 5e-3  # of the size of a tensor, at most
CLIP = 1.0  # norm of all gradients, at most
_SMALL = 1e-3  # the size of a tensor of zeros


class PrunedTraining:
    """A pruned student that a TrainingLoop trains to its teacher's outputs.

    Its best state is the one of the least divergence from the teacher on the samples ``held_out``:
    the figure that it is judged by at last, and not the loss that its steps go down.
    """

    def __init__(
        self,
        student: ModelProto,
        teacher: ModelProto,
        rows: StoredSamples,
        held_out: StoredSamples,
        seed: int,
    ) -> None:
        import torch

        self._torch: Any = torch
        self._seed = seed
        self._rows, self._held_out = rows, held_out
        self._teacher, self._student = TorchGraph(teacher), TorchGraph(student)
        self._compared = compared_tensors(student)
        self._names = [tensor.name for tensor in self._compared]
        self._size = min(len(rows), batch_size(student))
        self._reference = outputs_of(teacher, held_out)
        for weight in self._student.weights.values():
            weight.requires_grad_(True)
        # a matrix with zeros stays as sparse as it is
        self._sparse = [
            (weight, (weight != 0).float())
            for weight in self._student.weights.values()
            if weight.ndim > 1 and not bool(weight.all())
        ]

    def weights(self) -> dict[str, Array]:
        """Return the weights and biases as they are now, by the names of their initializers."""
        return {
            name: value.detach().numpy().copy() for name, value in self._student.weights.items()
        }

    def parameters(self) -> list[tuple[Tensor, float]]:
        """Return the weights and biases, the size of each its root mean square."""
        return [
            (weight, float(weight.detach().square().mean().sqrt()) + _SMALL)
            for weight in self._student.weights.values()
        ]

    def step_loss(self, step: int) -> Tensor:
        """Return the distance of the outputs from the teacher's, see output_loss.py."""
        feeds = self._mini_batch(step)
        with self._torch.no_grad():
            targets = self._teacher(feeds, self._names)
        return loss(self._compared, targets, self._student(feeds, self._names))

    def _mini_batch(self, step: int) -> dict[str, Tensor]:
        """Return a mini-batch, each sample blended with another one: see distil.py."""
        rng = np.random.default_rng([self._seed, step])
        blended = self._rows.blended(self._size, rng)
        return {name: self._torch.from_numpy(value) for name, value in blended.items()}

    def constrain(self) -> None:
        """Make zero again what was zero in a sparse matrix."""
        with self._torch.no_grad():
            for weight, mask in self._sparse:
                weight.mul_(mask)

    def validate(self) -> Validation:
        """Return the divergence from the teacher on the held-out samples, as loss and as score."""
        rows = []
        with self._torch.no_grad():
            for feeds in self._held_out.batches(self._size):
                tensors = {name: self._torch.from_numpy(value) for name, value in feeds.items()}
                rows.append([value.flatten(0, 1).numpy() for value in self._student(tensors)])
        outputs = [np.concatenate(values) for values in zip(*rows, strict=True)]
        error = divergence(self._reference, outputs)
        return Validation(loss=error, score=-error)
