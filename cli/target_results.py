"""What commands with several targets share: options, warnings by target, the end of failed ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from copy import copy
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, NoReturn, TypeVar

import typer

from ..core.errors import RockpressError
from .handler import run as explained

if TYPE_CHECKING:
    from ..core.diagnostics import Diagnostic

    OneWarning = TypeVar("OneWarning", Diagnostic, Diagnostic)

FAILED = 1
Told = AbstractSet[tuple[str, str]]


def named(
    warnings: Sequence[OneWarning], target: str | None, told: Told = frozenset()
) -> Iterator[OneWarning]:
    """The warnings that were not told yet, each with the name of its target in front, if any."""
    new = (one for one in warnings if (one.code, one.text) not in told)
    return (replace(one, text=f"{target}: {one.text}") if target else one for one in new)


def end_with(
    failures: Mapping[str, RockpressError], *, verbose: bool, code: int = FAILED
) -> NoReturn:
    """Tell on stderr why each of these targets failed, as of any other error, and exit."""
    for name, error in failures.items():
        explain(name, error, verbose=verbose)
    raise typer.Exit(code)


def explain(name: str, error: RockpressError, *, verbose: bool) -> None:
    """Tell on stderr what went wrong with one of several, as of any other error."""
    told = copy(error)
    told.diagnostic = replace(error.diagnostic, text=f"{name}: {error.diagnostic.text}")
    told.__cause__ = error.__cause__
    explained(partial(_raise, told), verbose=verbose)


def _raise(error: RockpressError) -> None:
    raise error from error.__cause__
