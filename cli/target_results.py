"""What commands with several targets share: options, warnings by target, the end of failed ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from copy import copy
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, NoReturn

import typer

from ..core.errors import RockpressError
from .handler import run as explained

if TYPE_CHECKING:
    from ..core.diagnostics import Diagnostic

FAILED = 1
ShownWarnings = AbstractSet[tuple[str, str]]  # code and text of each


def named(
    warnings: Iterable[Diagnostic], target: str | None, shown: ShownWarnings = frozenset()
) -> Iterator[Diagnostic]:
    """Yield the warnings that were not shown yet, each with its target in front, if any."""
    for warning in warnings:
        if (warning.code, warning.text) not in shown:
            yield replace(warning, text=f"{target}: {warning.text}") if target else warning


def end_with(
    failures: Mapping[str, RockpressError], *, verbose: bool, code: int = FAILED
) -> NoReturn:
    """Tell on stderr why each of these targets failed, as of any other error, and exit."""
    for name, error in failures.items():
        explain(name, error, verbose=verbose)
    raise typer.Exit(code)


def explain(name: str, error: RockpressError, *, verbose: bool) -> None:
    """Tell on stderr what went wrong with one of several, as of any other error."""
    renamed = copy(error)
    renamed.diagnostic = replace(error.diagnostic, text=f"{name}: {error.diagnostic.text}")
    renamed.__cause__ = error.__cause__
    explained(partial(_raise, renamed), verbose=verbose)


def _raise(error: RockpressError) -> None:
    raise error from error.__cause__
