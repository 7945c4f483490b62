"""The loop that trains a student to its teacher: steps, rates, the best state, and resuming.

Adam (D. Kingma and J. Ba, "Adam: a method for stochastic optimization", ICLR 2015, arXiv
1412.6980), with a rate for each tensor. Each step is drawn by the seed and its number, so that a
training that goes on from a checkpoint comes to the very same result.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Protocol

from ..progress import SILENT, Progress
from .checkpoint import Checkpoint
from .schedule import Schedule
from .torch_layers import Tensor

_INTERVAL = 25  # steps between two looks at the held-out samples
_WORSE = 5  # times the best state's loss: then back to it, with half the rate
_LEAST_LOSS = 1e-6  # a smaller one counts as this there


@dataclass(frozen=True)
class Validation:
    """A state on the held-out samples: the ``score`` tells the best, higher is better.

    The ``loss`` tells whether it went wrong. Both may be the same figure.
    """

    loss: float
    score: float


class Training(Protocol):
    """What is trained, by what, and how it is judged."""

    def parameters(self) -> list[tuple[Tensor, float]]:
        """Return what is trained, in one order, each with the size that its rate is times.

        The sizes are those of the values as they are now.
        """
        ...

    def step_loss(self, step: int) -> Tensor:
        """Return the loss of the mini-batch of a step, a number that has a gradient."""
        ...

    def constrain(self) -> None:
        """Put right after a step what it must not have changed."""
        ...

    def validate(self) -> Validation:
        """Return how the parameters do on the held-out samples, as they are now."""
        ...


class TrainingLoop:
    """Trains until the ``schedule`` is over; ``start`` and ``best`` are how states did.

    ``rate`` is the highest, in sizes of a parameter a step; gradients are cut down to a norm of
    ``clip`` in all, if that is given. Every ``interval`` steps, else 25, it looks at the held-out
    samples and writes a checkpoint.
    """

    def __init__(
        self,
        training: Training,
        schedule: Schedule,
        *,
        rate: float = 1.0,
        clip: float | None = None,
        interval: int | None = None,
    ) -> None:
        import torch

        self._torch: Any = torch
        self._training, self._schedule = training, schedule
        self._rate, self._clip = rate, clip
        self._interval = interval or _INTERVAL
        self._parameters = [tensor for tensor, _ in training.parameters()]
        self._optimizer = self._new_optimizer()
        self.step, self.elapsed, self._scale = 0, 0.0, 1.0
        self.start = self.best = training.validate()
        self._best_state = self._state()

    def run(self, progress: Progress = SILENT, checkpoint: Checkpoint | None = None) -> None:
        """Train from the state in ``checkpoint`` if there is one; end with the best parameters."""
        self._resume(checkpoint)
        begun = time.monotonic() - self.elapsed
        while (done := self._schedule.done(self.step, self.elapsed)) < 1:
            total = round(self.step / done) if done else self._schedule.steps
            progress.step("train", self.step, total)
            self._train_step()
            self.elapsed = time.monotonic() - begun
            if self.step % self._interval == 0:
                self._keep_best()
                self._save(checkpoint)
        self._keep_best()
        self._load(self._best_state)
        progress.step("train", self.step, self.step)

    def _train_step(self) -> None:
        value = self._training.step_loss(self.step)
        self._optimizer.zero_grad()
        value.backward()
        rate = self._rate * self._scale * self._schedule.rate(self.step, self.elapsed)
        for group in self._optimizer.param_groups:
            group["lr"] = rate * group["size"]
        if self._clip is not None:
            self._torch.nn.utils.clip_grad_norm_(self._parameters, self._clip)
        self._optimizer.step()
        self._training.constrain()
        self.step += 1

    def _keep_best(self) -> None:
        """Keep the state if it is the best on held-out samples; go back if far worse."""
        now = self._training.validate()
        if now.score > self.best.score:
            self.best, self._best_state = now, self._state()
        elif not now.loss <= _WORSE * max(self.best.loss, _LEAST_LOSS):  # or it is not a number
            self._load(self._best_state)
            self._scale /= 2
            self._optimizer = self._new_optimizer()

    def _new_optimizer(self) -> Any:
        parameters = self._training.parameters()
        groups = [{"params": [tensor], "size": size} for tensor, size in parameters]
        return self._torch.optim.Adam(groups)

    def _state(self) -> list[Tensor]:
        return [parameter.detach().clone() for parameter in self._parameters]

    def _load(self, state: list[Tensor]) -> None:
        with self._torch.no_grad():
            for parameter, value in zip(self._parameters, state, strict=True):
                parameter.copy_(value)

    # -- resuming after a stop -----------------------------------------------------------------

    def _save(self, checkpoint: Checkpoint | None) -> None:
        if checkpoint is None:
            return
        checkpoint.write(
            {
                "numbers": [self.step, self.elapsed, self._scale],
                "best": [self.best.loss, self.best.score],
                "best state": self._best_state,
                "state": [parameter.detach() for parameter in self._parameters],
                "optimizer": self._optimizer.state_dict(),
            }
        )

    def _resume(self, checkpoint: Checkpoint | None) -> None:
        state = None if checkpoint is None else checkpoint.read()
        if state is None:
            return
        self.step, self.elapsed, self._scale = state["numbers"]
        self.best, self._best_state = Validation(*state["best"]), state["best state"]
        self._load(state["state"])
        self._optimizer.load_state_dict(state["optimizer"])
