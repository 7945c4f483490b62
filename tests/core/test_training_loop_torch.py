"""The training loop on a curve: the best state, the way back, and the way on after a stop."""

from __future__ import annotations

import resource
import signal
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from rockpress.core.training.checkpoint import Checkpoint, checkpoint_in
from rockpress.core.training.schedule import Schedule
from rockpress.core.training.training_loop import TrainingLoop, Validation
from training_steps import Steps, Stopped

pytestmark = pytest.mark.torch


class Curve:
    """A line through noisy points that differ at each step; ``kick`` throws it off at one."""

    def __init__(self, kick: int | None = None) -> None:
        import torch

        self._torch: Any = torch
        self._kick = kick
        self.line = torch.tensor([2.0, -3.0], requires_grad=True)
        self.constrained: list[int] = []
        self._step = 0

    def parameters(self) -> list[tuple[Any, float]]:
        return [(self.line, float(self.line.detach().abs().mean()))]

    def step_loss(self, step: int) -> Any:
        self._step = step
        x = self._torch.from_numpy(np.random.default_rng([7, step]).standard_normal(8))
        return (self.line[0] * x + self.line[1] - 0.5 * x - 1).square().mean()

    def constrain(self) -> None:
        self.constrained.append(self._step)
        if self._step == self._kick:
            self.line.detach().mul_(1e4)

    def validate(self) -> Validation:
        loss = float((self.line.detach() - self._torch.tensor([0.5, 1.0])).square().sum())
        return Validation(loss, -loss)


def loop_of(curve: Curve, steps: int = 120) -> TrainingLoop:
    return TrainingLoop(curve, Schedule(steps, 1e6), rate=0.1)


def values_of(curve: Curve) -> list[float]:
    return [float(value) for value in curve.line.detach()]


def test_the_best_state_is_what_is_left() -> None:
    curve = Curve(kick=119)
    loop = loop_of(curve)
    loop.run()
    assert curve.constrained == list(range(120))
    assert curve.validate() == loop.best
    assert loop.best.loss < 0.1 * loop.start.loss


def test_far_worse_it_goes_back_with_half_the_rate() -> None:
    curve, progress = Curve(kick=60), Steps()
    loop = loop_of(curve)
    loop.run(progress)
    assert loop._scale == 0.5
    assert loop.best.loss < 0.1 * loop.start.loss
    straight = Curve()
    loop_of(straight).run()
    assert values_of(straight) != values_of(curve)


@pytest.mark.parametrize("stop", [30, 74, 76, 119])
def test_a_stopped_training_comes_to_the_same_state(stop: int, tmp_path: Path) -> None:
    """Also after it went back, at step 75."""
    whole, stopped, resumed = Curve(kick=60), Curve(kick=60), Curve(kick=60)
    loop = loop_of(whole)
    loop.run()
    checkpoint = Checkpoint(tmp_path / "c.pt", "it")
    with pytest.raises(Stopped):
        loop_of(stopped).run(Steps(stop), checkpoint)
    progress, again = Steps(), loop_of(resumed)
    again.run(progress, checkpoint)
    assert progress.steps[0][0] == stop // 25 * 25
    assert values_of(resumed) == values_of(whole)
    assert (again.start, again.best, again._scale) == (loop.start, loop.best, loop._scale)


# -- the file --------------------------------------------------------------------------------------


def test_a_checkpoint_gives_back_its_state(tmp_path: Path) -> None:
    import torch

    checkpoint = Checkpoint(tmp_path / "deep" / "c.pt", "it")
    assert checkpoint.read() is None
    for number in (1.5, 2.5):
        checkpoint.write({"numbers": [number, 3], "values": [torch.arange(4)]})
    state = checkpoint.read()
    assert state is not None
    assert state["numbers"] == [2.5, 3]
    assert state["values"][0].tolist() == [0, 1, 2, 3]
    assert Checkpoint(checkpoint.path, "another").read() is None


def test_a_damaged_checkpoint_is_none_wherever_the_damage_is(tmp_path: Path) -> None:
    import torch

    checkpoint = Checkpoint(tmp_path / "c.pt", "it")
    checkpoint.write({"values": torch.arange(300.0)})
    content = checkpoint.path.read_bytes()
    for at in [0, 31, 32, *range(33, len(content), 97), len(content) - 1]:
        damaged = bytearray(content)
        damaged[at] ^= 1
        checkpoint.path.write_bytes(damaged)
        assert checkpoint.read() is None
    for length in (0, 20, 32, len(content) // 2, len(content) - 1):
        checkpoint.path.write_bytes(content[:length])
        assert checkpoint.read() is None
    checkpoint.path.write_bytes(content)
    assert checkpoint.read() is not None


def test_a_checkpoint_that_cannot_be_written_leaves_the_one_before(tmp_path: Path) -> None:
    import torch

    checkpoint = Checkpoint(tmp_path / "c.pt", "it")
    checkpoint.write({"values": torch.zeros(10)})
    before = checkpoint.path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    assert signal.getsignal(signal.SIGXFSZ) is signal.SIG_IGN  # as Python has it
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, limits[1]))
    try:
        checkpoint.write({"values": torch.zeros(1 << 20)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert checkpoint.path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [checkpoint.path]
    Checkpoint(tmp_path / "c.pt" / "below.pt", "it").write({})


def test_the_identity_is_that_of_the_schedule_and_the_models() -> None:
    first, second = onnx.ModelProto(ir_version=8), onnx.ModelProto(ir_version=9)
    path = Path("c.pt")
    checkpoints = {
        checkpoint_in(path, schedule, *models)
        for schedule in (Schedule(), Schedule(seed=1), Schedule(steps=3))
        for models in ((first,), (second,), (first, second), (second, first))
    }
    assert len(checkpoints) == 12
    same = onnx.ModelProto(ir_version=8)
    assert checkpoint_in(path, Schedule(), first) == checkpoint_in(path, Schedule(), same)
    assert checkpoint_in(None, Schedule(), first) is None
