"""The trials of a search as a study of Optuna's, for optuna-dashboard: a copy that nothing reads.

The search keeps its own in memory and in its file of trials, so that no database can end it.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ...core.diagnostics import Diagnostic, option
from ...core.errors import OutputError
from ...core.results.tune_report import Setting
from ...report.text.tune_text import value_text
from ..recipes.recipe import Recipe
from .points import CUT_SHORT, Trial
from .sampler import optuna_package
from .space import Space

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial

_PASSWORD = re.compile(r"(?<=//)([^:@/]*):.*@")
_SETTINGS = re.compile(r"\?.*")
_NUMBER = "number"
_LONGEST = 200


class _Unavailable(Exception):
    """Why a storage cannot be used, in one line."""


@dataclass
class StudyCopy:
    """Adds each trial that ends, once; ``warn`` hears when that is no longer possible."""

    study: Study
    space: Space
    url: str
    warn: Callable[[Diagnostic], None]
    _copied: set[int] = field(default_factory=set)
    _is_broken: bool = False

    def add(self, trial: Trial) -> None:
        """Copy a trial, but for one that time has cut short: it may still go on."""
        if self._is_broken or trial.number in self._copied or trial.set_aside == CUT_SHORT:
            return
        try:
            with _available(self.url):
                self.study.add_trial(_frozen(trial, self.space))
            self._copied.add(trial.number)
        except _Unavailable as error:
            self._is_broken = True
            self.warn(
                Diagnostic(
                    "tune-storage",
                    f"{option('optuna-storage', _shown(self.url))}: {error}; the search goes on, "
                    "and copies no more points there",
                    "the same command copies what is missing",
                )
            )


def copier(
    recipe: Recipe, digest: str, space: Space, warn: Callable[[Diagnostic], None]
) -> Callable[[Trial], None]:
    """Return what copies a trial to where a recipe says, which may be nowhere; see open_study.

    ``digest`` is that of the search.
    """
    if recipe.tune.optuna_storage is None:
        return lambda trial: None
    name = f"rockpress {recipe.model.name} {digest[:8]}"
    return open_study(recipe.tune.optuna_storage, name, space, warn).add


def open_study(url: str, name: str, space: Space, warn: Callable[[Diagnostic], None]) -> StudyCopy:
    """Return the copy of a search in a database, with what an earlier run has copied there.

    Raises OutputError where it cannot be opened, PackageError without Optuna.
    """
    optuna = optuna_package()
    try:
        with _available(url):
            study = optuna.create_study(
                storage=url,
                study_name=name,
                directions=["minimize", "maximize"],
                load_if_exists=True,
            )
            study.set_metric_names(["cost", "retention, lower end"])
            copied = {trial.user_attrs.get(_NUMBER) for trial in study.get_trials(deepcopy=False)}
    except _Unavailable as error:
        raise OutputError(
            f"{option('optuna-storage', _shown(url))} cannot be opened: {error}",
            "give a URL of SQLAlchemy whose folder or server is there and its driver installed, "
            "such as sqlite:///study.db",
        ) from error
    return StudyCopy(study, space, url, warn, copied)


def _frozen(trial: Trial, space: Space) -> FrozenTrial:
    """Return a trial as Optuna has it; its state is FAIL, or PRUNED where it was set aside."""
    from optuna.distributions import CategoricalDistribution
    from optuna.trial import TrialState, create_trial

    measure, values = trial.measure, {knob.name: knob.values for knob in space.knobs}
    is_whole = measure is not None and measure.retention is not None and not trial.set_aside
    state = TrialState.COMPLETE if is_whole else TrialState.PRUNED
    described: dict[str, Any] = {_NUMBER: trial.number, "point": trial.point.digest}
    described |= {"set aside": trial.set_aside} if trial.set_aside else {}
    described |= {"failure": trial.failure} if trial.failure else {}
    if measure is not None:
        described |= {"retention": measure.retention, **measure.figures}
    settings = trial.point.settings
    return create_trial(
        state=TrialState.FAIL if trial.failure else state,
        values=[measure.cost, measure.low] if is_whole and measure is not None else None,
        params={name: _shown_value(name, value) for name, value in settings},
        distributions={
            name: CategoricalDistribution([_shown_value(name, value) for value in values[name]])
            for name, _ in settings
        },
        user_attrs=described,
    )


def _shown_value(name: str, value: Setting) -> Setting:
    return value_text(name, value) if value is None else value


@contextmanager
def _available(url: str) -> Iterator[None]:
    """Raise _Unavailable for what a database, its driver or its URL raises."""
    from optuna.exceptions import OptunaError
    from sqlalchemy.exc import SQLAlchemyError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (OptunaError, SQLAlchemyError, ImportError, OSError, ValueError, RuntimeError) as error:
        text = str(error.__cause__ or error).partition("\n")[0].replace(url, _shown(url))
        raise _Unavailable(text[:_LONGEST]) from error


def _shown(url: str) -> str:
    """Return a URL without its password, which may have a slash in it, nor its settings.

    >>> _shown("postgresql://me:sec/ret@host/db?password=secret")
    'postgresql://me:...@host/db?...'
    """
    return _SETTINGS.sub("?...", _PASSWORD.sub(r"\1:...@", url))
