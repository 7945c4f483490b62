"""The training itself: steps, learning rate, the best state so far, and resuming after a stop."""

from __future__ import annotations

import pickle
import time
from pathlib import Path
from typing import Any

import numpy as np
from onnx import ModelProto

from ...core.files import replacing
from ...core.progress import Progress
from ...core.training.output_loss import compared_tensors, loss
from ...core.training.schedule import Schedule
from ...core.training.stored_samples import StoredSamples, batch_size, outputs_of
from ...core.training.torch_graph import TorchGraph
from ...core.training.torch_layers import Tensor
from ...core.types import Array
from ..search.divergence import divergence

_RATE = 5e-3  # of the size of a tensor, at most
_SMALL = 1e-3  # the size of a tensor of zeros
_VALIDATE_EVERY = 25  # steps between two looks at the held-out samples
_WORSE = 5  # times the best: then back to it, with half the rate


class Training:
    """A student that is trained to its teacher's outputs; ``best`` are its best weights so far."""

    def __init__(
        self,
        student: ModelProto,
        teacher: ModelProto,
        rows: StoredSamples,
        held_out: StoredSamples,
        schedule: Schedule,
    ) -> None:
        import torch

        self._torch: Any = torch
        self._schedule = schedule
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
        self._optimizer = self._new_optimizer()
        self.step, self.elapsed, self._scale = 0, 0.0, 1.0
        self.start = self.lowest = self._validate()
        self.best = self._weights()

    def run(self, checkpoint: Path | None, progress: Progress) -> None:
        """Train until the schedule is over, from the state in ``checkpoint`` if there is one."""
        self._resume(checkpoint)
        begun = time.monotonic() - self.elapsed
        while (done := self._schedule.done(self.step, self.elapsed)) < 1:
            total = round(self.step / done) if done else self._schedule.steps
            progress.step("train", self.step, total)
            self._train_step()
            self.elapsed = time.monotonic() - begun
            if self.step % _VALIDATE_EVERY == 0:
                self._keep_best()
                self._save(checkpoint)
        self._keep_best()
        progress.step("train", self.step, self.step)

    def _train_step(self) -> None:
        feeds = self._mini_batch()
        with self._torch.no_grad():
            targets = self._teacher(feeds, self._names)
        value = loss(self._compared, targets, self._student(feeds, self._names))
        self._optimizer.zero_grad()
        value.backward()
        rate = _RATE * self._scale * self._schedule.rate(self.step, self.elapsed)
        for group in self._optimizer.param_groups:
            group["lr"] = rate * group["size"]
        self._torch.nn.utils.clip_grad_norm_(self._student.weights.values(), 1.0)
        self._optimizer.step()
        with self._torch.no_grad():
            for weight, mask in self._sparse:
                weight.mul_(mask)
        self.step += 1

    def _mini_batch(self) -> dict[str, Tensor]:
        """Return a mini-batch, each sample blended with another one: see distil.py."""
        rng = np.random.default_rng([self._schedule.seed, self.step])
        blended = self._rows.blended(self._size, rng)
        return {name: self._torch.from_numpy(value) for name, value in blended.items()}

    def _keep_best(self) -> None:
        """Keep the weights if they are the best on held-out samples; go back if far worse."""
        error = self._validate()
        if error < self.lowest:
            self.lowest, self.best = error, self._weights()
        elif not error <= _WORSE * max(self.lowest, 1e-6):  # or it is not a number any more
            self._load(self.best)
            self._scale /= 2
            self._optimizer = self._new_optimizer()

    def _validate(self) -> float:
        """Return the divergence from the teacher on the held-out samples."""
        rows = []
        with self._torch.no_grad():
            for feeds in self._held_out.batches(self._size):
                tensors = {name: self._torch.from_numpy(value) for name, value in feeds.items()}
                rows.append([value.flatten(0, 1).numpy() for value in self._student(tensors)])
        outputs = [np.concatenate(values) for values in zip(*rows, strict=True)]
        return divergence(self._reference, outputs)

    def _new_optimizer(self) -> Any:
        groups = [
            {"params": [weight], "size": float(weight.detach().square().mean().sqrt()) + _SMALL}
            for weight in self._student.weights.values()
        ]
        return self._torch.optim.Adam(groups)

    def _weights(self) -> dict[str, Array]:
        return {
            name: value.detach().numpy().copy() for name, value in self._student.weights.items()
        }

    def _load(self, weights: dict[str, Array]) -> None:
        with self._torch.no_grad():
            for name, value in weights.items():
                self._student.weights[name].copy_(self._torch.from_numpy(value))

    # -- resuming after a stop -----------------------------------------------------------------

    def _save(self, checkpoint: Path | None) -> None:
        if checkpoint is None:
            return
        tensors = self._torch.from_numpy
        state = {
            "numbers": [self.step, self.elapsed, self._scale, self.lowest],
            "weights": {name: value.detach() for name, value in self._student.weights.items()},
            "best": {name: tensors(value) for name, value in self.best.items()},
            "optimizer": self._optimizer.state_dict(),
        }
        checkpoint.parent.mkdir(parents=True, exist_ok=True)
        with replacing(checkpoint) as part:
            self._torch.save(state, part)

    def _resume(self, checkpoint: Path | None) -> None:
        if checkpoint is None or not checkpoint.is_file():
            return
        try:
            state = self._torch.load(checkpoint, weights_only=True)
        except (OSError, RuntimeError, ValueError, EOFError, KeyError, pickle.UnpicklingError):
            return  # damaged: from the beginning
        self._load({name: value.numpy() for name, value in state["weights"].items()})
        self.best = {name: value.numpy() for name, value in state["best"].items()}
        self.step, self.elapsed, self._scale, self.lowest = state["numbers"]
        self._optimizer.load_state_dict(state["optimizer"])
