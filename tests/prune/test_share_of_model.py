"""A budget in the cost of the whole model, where layers are a part of it alone."""

from __future__ import annotations

import pytest

from rockpress.core.errors import OptionError
from rockpress.prune.search.allocate import PrunePlan
from rockpress.prune.search.share_of_model import plan_of_share


def by_layers(share: float) -> PrunePlan:
    """Steps of a tenth, nine at most; half of the model's cost is in its layers."""
    steps = next((step for step in range(10) if step / 10 >= share - 1e-9), None)
    if steps is None:
        raise OptionError("out of reach")
    return PrunePlan({}, 1 - steps / 10, 0.0)


def ratio(plan: PrunePlan) -> float:
    return 0.5 + plan.cost / 2


@pytest.mark.parametrize(("share", "left"), [(0.25, 0.5), (0.2, 0.6), (0.4, 0.2), (0.45, 0.1)])
def test_the_least_cut_that_saves_the_share_of_the_model(share: float, left: float) -> None:
    assert plan_of_share(by_layers, ratio, share).cost == pytest.approx(left)


def test_what_no_cut_of_layers_saves_is_out_of_reach() -> None:
    with pytest.raises(OptionError, match=r"-45\.0 % at most|-45\.0% at most"):
        plan_of_share(by_layers, ratio, 0.5)
