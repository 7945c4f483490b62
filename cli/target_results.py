"""What commands with several targets share: options, warnings by target, the end of failed ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from copy import copy
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, NoReturn

import typer

from ..core.diagnostics import cost_rank
from ..core.errors import RockpressError
from .handler import run as explained

if TYPE_CHECKING:
    from ..core.diagnostics import Diagnostic
    from ..core.results.report import Judgement

FAILED, GATE_FAILED = 1, 4
ShownWarnings = AbstractSet[tuple[str, str]]  # code and text of each


def warnings_of(
    targets: Mapping[str, Sequence[Diagnostic]], shown: ShownWarnings = frozenset()
) -> Iterator[Diagnostic]:
    """Yield what was not shown yet of the warnings of targets, each once, by what they cost.

    Those that not all have come with the names of theirs in front.
    """
    owners: dict[tuple[str, str], list[str]] = {}
    warnings = [warning for those in targets.values() for warning in those]
    for name, those in targets.items():
        for warning in those:
            owners.setdefault((warning.code, warning.text), []).append(name)
    for warning in sorted(warnings, key=lambda warning: cost_rank(warning.code)):
        names = owners.pop((warning.code, warning.text), [])
        if names and (warning.code, warning.text) not in shown:
            prefix = "" if len(names) == len(targets) else f"{', '.join(names)}: "
            yield replace(warning, text=prefix + warning.text)


def end_with(
    failures: Mapping[str, RockpressError], *, verbose: bool, code: int = FAILED
) -> NoReturn:
    """Tell on stderr why each of these targets failed, as of any other error, and exit."""
    for name, error in failures.items():
        explain(name, error, verbose=verbose)
    raise typer.Exit(code)


def end_judged(judgements: Iterable[Judgement]) -> None:
    """Exit when a gate of one of the results does not hold; the files are there all the same."""
    if not all(judgement.passed for judgement in judgements):
        raise typer.Exit(GATE_FAILED)


def explain(name: str, error: RockpressError, *, verbose: bool) -> None:
    """Tell on stderr what went wrong with one of several, as of any other error."""
    explained(partial(_raise, of_model(name, error)), verbose=verbose)


def of_model(name: str, error: RockpressError) -> RockpressError:
    """Return the error with the name of the one of several that it is of."""
    renamed = copy(error)
    renamed.diagnostic = replace(error.diagnostic, text=f"{name}: {error.diagnostic.text}")
    renamed.__cause__ = error.__cause__
    return renamed


def _raise(error: RockpressError) -> None:
    raise error from error.__cause__
