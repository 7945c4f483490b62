"""Which points to try next: Optuna, asked and told by one process alone."""

from __future__ import annotations

import logging
import random
import warnings
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from ...core.errors import NOT_INSTALLED, PackageError
from ...core.results.tune_report import Setting
from .points import Measure, Point
from .space import Knob, Space

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler
    from optuna.study import Study

Kind = Literal["tpe", "random"]
# TPE needs as many before it knows more than chance does
_START = 10
_ASKS, _DRAWS = 10, 1000


class Sampler(Protocol):
    """Says which point to try next, and hears in the same order what came of it."""

    def ask(self, tried: Collection[Point]) -> tuple[int, Point] | None:
        """Return a point that is none of ``tried`` with the number under which it is told.

        None where there seems to be no other.
        """
        ...

    def tell(self, number: int, measure: Measure | None) -> None:
        """Take what came of a point, None where nothing was measured."""
        ...


@dataclass
class OptunaSampler:
    """Optuna's sampler over a space, for cost and for the lower bound of retention.

    The same ``seed``, asked and told in the same order, gives the same points. Source of TPE:
    Bergstra et al. 2011; with several objectives, Ozaki et al. 2022.
    """

    space: Space
    seed: int = 0
    kind: Kind = "tpe"
    study: Study = field(init=False)
    _trials: dict[int, Any] = field(init=False, default_factory=dict)
    _chance: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)
        optuna = optuna_package()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            sampler = self._sampler(optuna)
        self.study = optuna.create_study(directions=["minimize", "maximize"], sampler=sampler)
        for point in self.space.first:
            self.study.enqueue_trial(self._places(point))

    def _places(self, point: Point) -> dict[str, int]:
        values = {knob.name: knob.values for knob in self.space.knobs}
        return {name: values[name].index(value) for name, value in point.settings}

    def _sampler(self, optuna: Any) -> BaseSampler:
        if self.kind == "random":
            sampler: BaseSampler = optuna.samplers.RandomSampler(seed=self.seed)
        else:
            sampler = optuna.samplers.TPESampler(
                seed=self.seed, multivariate=True, group=True, n_startup_trials=_START
            )
        return sampler

    def ask(self, tried: Collection[Point]) -> tuple[int, Point] | None:
        """Return a point that was not tried, and the number of Optuna's trial.

        Where Optuna asks again and again for what was tried, chance chooses another.
        """
        for _ in range(_ASKS):
            number, point = self._ask()
            if point not in tried:
                return number, point
            self.tell(number, None)
        for _ in range(_DRAWS):
            point = self.space.point(lambda knob: self._chance.choice(knob.values))
            if point not in tried:
                self.study.enqueue_trial(self._places(point))
                return self._ask()
        return None

    def _ask(self) -> tuple[int, Point]:
        trial = self.study.ask()
        self._trials[trial.number] = trial

        def choose(knob: Knob) -> Setting:
            # by its place: the values of a budget have an order, which names would hide
            place = trial.suggest_int(knob.name, 0, len(knob.values) - 1)
            return knob.values[place]

        return trial.number, self.space.point(choose)

    def tell(self, number: int, measure: Measure | None) -> None:
        """Tell Optuna cost and lower bound, or that the trial is no use to it."""
        from optuna.trial import TrialState

        trial = self._trials.pop(number)
        if measure is None or measure.retention is None:
            self.study.tell(trial, state=TrialState.FAIL)
        else:
            self.study.tell(trial, [measure.cost, measure.low])


def optuna_package() -> Any:
    """Return the package, quiet. Raises PackageError where it is not installed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import optuna
    except ImportError as error:
        raise PackageError(
            f"a search needs Optuna, which {NOT_INSTALLED} ({error})",
            "install rockpress with its extra: pip install 'rockpress[tune]'",
        ) from error
    optuna.logging.set_verbosity(logging.ERROR)
    return optuna
