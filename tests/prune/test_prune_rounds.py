"""Pruning in rounds: the budget is that of the whole, and the teacher is always the original."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto

from commands import Run
from graphs import Samples, model_of, random_feeds
from rockpress.core.errors import OptionError
from rockpress.core.graphs.layers import macs_of
from rockpress.core.graphs.model import load_model
from rockpress.core.passes.prepare import prepare_model
from rockpress.pipeline.recipes.recipe import make_recipe
from rockpress.pipeline.tasks.pruning_options import require_pruning
from rockpress.prune.prune import PruneMethod, Pruner
from rockpress.prune.repair.refit import Teacher
from rockpress.prune.results.budget import Budget, macs_cost
from rockpress.prune.results.prune_result import PruneResult
from rockpress.prune.rounds import default_rounds, prune_in_rounds
from rockpress.prune.search.costs import CostFunction
from samples import save_feeds


def network() -> ModelProto:
    """Two convolutions, a residual Add and a head."""
    return model_of(
        """(float[1,3,8,8] x) => (float[1,4] y) {
            a = Conv <pads=[1,1,1,1]> (x, w1)
            r = Relu (a)
            b = Conv <pads=[1,1,1,1]> (r, w2)
            s = Relu (b)
            c = Conv <pads=[1,1,1,1]> (s, w3)
            d = Add (c, r)
            p = GlobalAveragePool (d)
            q = Flatten (p)
            y = Gemm <transB=1> (q, w4) }""",
        {"w1": (32, 3, 3, 3), "w2": (48, 32, 3, 3), "w3": (32, 48, 3, 3), "w4": (4, 32)},
    )


def samples(count: int, seed: int = 0) -> Samples:
    return random_feeds({"x": (1, 3, 8, 8)}, count, seed)


def pruned(model: ModelProto, share: float, rounds: int, output: Path) -> PruneResult:
    make = partial(
        Pruner, samples=samples(12), cost=CostFunction(macs_cost, 8), method=PruneMethod()
    )

    def again(smaller: ModelProto, teacher: Teacher, twin: ModelProto | None) -> Pruner:
        # the teacher is the original in every round, and the cuts are counted from it
        first = {one.name: tuple(one.dims) for one in teacher.model.graph.initializer}
        assert first["w2"] == (48, 32, 3, 3)
        for one in smaller.graph.initializer:
            if one.name in teacher.channels:
                cut = teacher.channels[one.name]
                assert one.dims[0] == cut.outputs.sum()
                assert np.prod(one.dims[1:]) == cut.inputs.sum()
        return make(prepare_model(smaller), teacher=teacher, twin=twin)

    return prune_in_rounds(make(model), again, Budget("macs", share), rounds, output)


@pytest.mark.parametrize("rounds", [1, 3])
def test_the_budget_is_that_of_the_whole(rounds: int, tmp_path: Path) -> None:
    model = network()
    result = pruned(model, 0.6, rounds, tmp_path / "a")
    small = load_model(tmp_path / "a")
    assert result.path == tmp_path / "a"
    assert result.budget == Budget("macs", 0.6)
    assert (result.macs_before, result.macs_after) == (macs_of(model), macs_of(small))
    assert result.macs_after <= 0.4 * result.macs_before
    assert result.macs_after > 0.2 * result.macs_before  # and not much more than was asked for
    assert result.cost_after == pytest.approx(result.macs_after)
    weights = {tensor.name: tuple(tensor.dims) for tensor in small.graph.initializer}
    for group in result.groups:
        sizes = {weights[name][0] for name in group.layers if name in weights}
        assert sizes == {group.after}
        assert (group.saved > 0) == (group.after < group.before)
    assert result.curve[0].cost_ratio > result.curve[-1].cost_ratio
    assert any(one.cost_ratio <= 0.4 for one in result.curve)


def test_a_later_round_that_cannot_go_on_is_left_out(tmp_path: Path) -> None:
    """What it says is of its own part of the budget, and what is there then is no result."""
    make = partial(
        Pruner, samples=samples(12), cost=CostFunction(macs_cost, 8), method=PruneMethod()
    )

    def again(smaller: ModelProto, teacher: Teacher, twin: ModelProto | None) -> Pruner:
        raise OptionError("the budget of -2.0% is out of reach", "ask for less")

    output, budget = tmp_path / "a", Budget("macs", 0.6)
    result = prune_in_rounds(make(network()), again, budget, 2, output)
    assert result == pruned(network(), 0.6, 1, output)
    output.unlink()
    with pytest.raises(OptionError, match=r"budget of -99\.9% is out of reach"):
        pruned(network(), 0.999, 2, output)
    assert list(tmp_path.iterdir()) == []


def test_the_plan_is_that_of_the_last_round(tmp_path: Path) -> None:
    """So its divergence is what the result has, not what the first round had."""
    result = pruned(network(), 0.7, 2, tmp_path / "a")
    first = pruned(network(), 1 - 0.3**0.5, 1, tmp_path / "a")
    assert result.choice is not None
    assert result.choice != first.choice


@pytest.mark.parametrize(
    ("kind", "share", "rounds"),
    [("macs", 0.59, 1), ("macs", 0.6, 2), ("size", 0.8, 2), ("cycles", 0.6, 1)],
)
def test_the_default_number_of_rounds(kind: str, share: float, rounds: int) -> None:
    assert default_rounds(Budget(kind, share)) == rounds


def test_rounds_are_an_option(tmp_path: Path, rockpress: Run) -> None:
    model, calib, out = tmp_path / "m.onnx", tmp_path / "calib.npz", tmp_path / "s.onnx"
    onnx.save(network(), model)
    save_feeds(calib, samples(16))
    line = ["prune", model, "--calib", calib, "-o", out, "--budget", "macs=-50%", "--json"]
    sizes = set()
    for rounds in (1, 2):
        code, printed, err = rockpress(*line, "--rounds", rounds)
        document = json.loads(printed)
        assert code == 0, err
        assert document["macs_after"] <= document["macs_before"] / 2
        sizes.add(out.read_bytes())
    assert len(sizes) == 2
    assert rockpress(*line, "--rounds", 0)[0] == 2
    recipe = make_recipe(model, calib=calib, prune="macs=-50%", max_drop=0.02, rounds=2)
    with pytest.raises(OptionError, match="made in one round"):
        require_pruning(recipe.prune)
