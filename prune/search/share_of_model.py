"""The plan that saves a share of the whole model, where its layers are not all that costs."""

from __future__ import annotations

from collections.abc import Callable

from ...core.errors import OptionError
from .allocate import PrunePlan

_TRIES = 16
_ROUNDING = 1e-9
_NEAR = 0.004  # of the whole: a plan that saves so little more than asked for is near enough


def plan_of_share(
    by_layers: Callable[[float], PrunePlan], ratio: Callable[[PrunePlan], float], share: float
) -> PrunePlan:
    """Return the plan with the smallest cuts that saves a share of the model, by bisection.

    ``by_layers`` gives the plan that saves a share of the layers' own cost, or raises OptionError;
    ``ratio`` is what the model of a plan costs over the whole. Raises OptionError where no plan
    saves so much.
    """
    low, high, best = 0.0, 1.0, None
    at, least = share, 1.0
    for _ in range(_TRIES):
        try:
            plan = by_layers(at)
        except OptionError:
            high = at
            at = (low + high) / 2
            continue
        left = ratio(plan)
        least = min(least, left)
        if left <= 1 - share + _ROUNDING:
            best, high = plan, at
            if left >= 1 - share - _NEAR:
                break
        else:
            low = at
        at = (low + high) / 2
    if best is None:
        raise OptionError(
            f"the budget of {-share:+.1%} is out of reach: pruning this model gives "
            f"{least - 1:+.1%} at most",
            "ask for less",
        )
    return best
