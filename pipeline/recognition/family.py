"""What a family of models says of a model that is of it: values of options, and where to end it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...core.results.family_figure import Source
from .model_view import ModelView


@dataclass(frozen=True)
class Setting:
    """The plain value of an option, as a recipe holds it, and where it was taken from."""

    value: Any
    source: Source


# option, or "table.key" for an entry of one that is a table -> its value
Settings = Mapping[str, Setting]


@dataclass(frozen=True)
class Cut:
    """Where to end a model before its own decoding, and the options that belong to that."""

    outputs: tuple[str, ...]
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Match:
    """What a family sets for a model; ``evidence`` is by what the model is known to be of it."""

    evidence: Source
    settings: Settings
    cut: Cut | None = None


@dataclass(frozen=True)
class Family:
    """Models that are trained, fed and read alike.

    ``recognise`` gives None unless the model says of itself that it is of the family, or its form
    leaves no doubt. ``match_named`` is asked where the user names the family and ``recognise`` has
    given None: it needs no more than that the model can be of it.
    """

    about: str
    recognise: Callable[[ModelView], Match | None]
    match_named: Callable[[ModelView], Match | None] | None = None

    def match(self, view: ModelView, *, is_named: bool) -> Match | None:
        """Return what the family sets for a model, None where that is not of it."""
        match = self.recognise(view)
        if match is None and is_named and self.match_named is not None:
            return self.match_named(view)
        return match


def settings_from(source: Source, **values: Any) -> dict[str, Setting]:
    """Return the settings of options by their names; those of a table one by one.

    >>> settings_from("form", size=[48, 320], metric_option={"head": "yolox"}).keys()
    dict_keys(['size', 'metric_option.head'])
    """
    settings: dict[str, Setting] = {}
    for name, value in values.items():
        entries = value.items() if isinstance(value, Mapping) else ()
        settings |= {f"{name}.{key}": Setting(entry, source) for key, entry in entries}
        if not isinstance(value, Mapping):
            settings[name] = Setting(value, source)
    return settings
