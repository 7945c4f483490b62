"""Which family a model is of, and what that sets for it."""

from __future__ import annotations

from dataclasses import replace

from ..core.diagnostics import option
from ..core.errors import OptionError
from .families import AUTO, OFF, family_names, find_family
from .recognition.family import Match
from .recognition.model_view import ModelView

_OF_OUTPUTS = ("metric_option.head", "metric_output")


def family_of(view: ModelView, name: str) -> tuple[str, Match | None]:
    """Return the family of a name, or that a model is recognised to be of, and what it sets.

    None for no family. Raises OptionError where the model cannot be of the one that is named.
    """
    if name == AUTO:
        return recognise(view)
    family = find_family(name)
    match = family.match(view, is_named=True)
    if match is None:
        raise OptionError(
            f"{option('family', name)}: the model cannot be of it: {_form_of(view)}",
            f"leave {option('family')} out, or give {option('family', OFF)} and the options "
            "themselves",
        )
    return name, match if family.recognise(view) is not None else _by_name(match)


def _by_name(match: Match) -> Match:
    """Return what a family sets where only its name says that the model is of it, not the form."""
    settings = {
        name: replace(each, source="name") if each.source == "form" else each
        for name, each in match.settings.items()
    }
    return replace(match, settings=settings)


def recognise(view: ModelView) -> tuple[str, Match | None]:
    """Return the family that a model is of, and what it sets; None unless it is a single one.

    What a model says of itself goes before what its form says.
    """
    matches: dict[str, Match] = {}
    for name in family_names():
        if name not in (AUTO, OFF):
            match = find_family(name).match(view, is_named=False)
            matches |= {name: match} if match is not None else {}
    by_word = {name: match for name, match in matches.items() if match.evidence == "metadata"}
    best = by_word or matches
    return next(iter(best.items())) if len(best) == 1 else (AUTO, None)


def match_at(ended: ModelView, name: str, whole: Match) -> Match:
    """Return what a family sets for a model of it that the user has ended earlier.

    What the metric reads is that of the model as it is then; all else, and the metric itself, is
    that of the ``whole`` one.
    """
    at_end = find_family(name).match(ended, is_named=True)
    lost = _OF_OUTPUTS if at_end is None else ("metric_option", "metric_output")
    left = {
        key: each
        for key, each in whole.settings.items()
        if key not in lost and key.partition(".")[0] not in lost
    }
    read = (
        {}
        if at_end is None
        else {key: each for key, each in at_end.settings.items() if key.partition(".")[0] in lost}
    )
    return replace(whole, settings={**left, **read}, cut=None)


def _form_of(view: ModelView) -> str:
    """Say what goes into a model and what comes out."""
    tensors = [*view.inputs, *view.outputs]
    shapes = [
        "x".join("?" if length is None else str(length) for length in t.shape) for t in tensors
    ]
    count = len(view.inputs)
    return f"it takes {', '.join(shapes[:count])} and gives {', '.join(shapes[count:])}"
