"""Options as fields of frozen dataclasses: beside its name and default, a field says all there is.

The command line, recipes and their JSON schema, the reference pages, the Python API and the keys of
the cache are made from these fields, so a new option is one of them and its use:

    rounds: int | None = opt(None, Whole(1), "Prune in so many rounds.", "run prune", default="1")
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import Field, dataclass, field, fields, replace
from typing import Any, ClassVar

from .diagnostics import option
from .errors import OptionError
from .option_kinds import Flag, Kind

OFF = "off"
_KEY = "option"


@dataclass(frozen=True)
class Option:
    """What a field says of itself: its values, its help, and the verbs that have it.

    ``default`` is what stands for it where the field has None; ``defaults`` are those of single
    verbs, as the command line writes them. ``kinds`` are what single verbs take instead. Help and
    reference pages show it under ``heading``.
    """

    name: str
    kind: Kind
    help: str
    verbs: tuple[str, ...]
    default: str
    off: bool
    defaults: Mapping[str, str]
    kinds: Mapping[str, Kind]
    heading: str

    @property
    def flag(self) -> str:
        """The name on the command line and in a recipe, without dashes in front."""
        return self.name.replace("_", "-")

    @property
    def metavar(self) -> str:
        """What help shows for the value."""
        listed = self.off and OFF not in self.kind.metavar
        return f"{self.kind.metavar}|{OFF}" if listed else self.kind.metavar

    def load(self, value: Any) -> Any:
        """Return the field's value of a plain one. Raises OptionError."""
        if self.off and value in (OFF, None):
            return None
        with suppress(ValueError, TypeError):
            return self.kind.load(value)
        raise OptionError(
            f"{option(self.flag, value)} is not {self.kind.plain_wants}",
            suggestion(self.flag, self.kind, value),
        )

    def help_for(self, verb: str, *, lists_known: bool = True) -> str:
        """Return the help text with the values that are known, and the default of a verb."""
        default = self.defaults.get(verb, self.default)
        kind = self.kinds.get(verb, self.kind)
        known = ", ".join(kind.known_values) if lists_known else ""
        parts = (
            self.help,
            f"Known: {known}." if known else "",
            default and f"[default: {default}]",
        )
        return " ".join(filter(None, parts))


def suggestion(flag: str, kind: Kind, value: Any) -> str:
    """Return the hint that says which value of an option was meant, or who takes others; or ""."""
    is_plain = isinstance(value, (str, int, float)) and not isinstance(value, bool)
    meant = kind.meant(str(value)) if is_plain else ""
    if not meant:
        return kind.elsewhere
    with suppress(ValueError):  # several words, of which each may be meant
        plain = kind.read(meant)
        kind.load(plain)
        return f"did you mean {option(flag, plain)}?"
    return f"did you mean {meant}?"


def opt(
    value: Any,
    kind: Kind,
    help: str,
    verbs: str,
    *,
    default: str | None = None,
    off: bool = False,
    defaults: Mapping[str, str] | None = None,
    kinds: Mapping[str, Kind] | None = None,
    heading: str = "",
) -> Any:
    """Return a field for a frozen dataclass of options; see Option.

    ``verbs`` are names with spaces between them. The default that help shows is ``value``, or
    ``default`` where that says more. With ``off`` that word stands for None. It stands under the
    heading of its class unless it has another.
    """
    assert not (isinstance(kind, Flag) and value), "the command line could not switch it off"
    if default is None:
        unsaid = value is None or value is False or value in ((), {})
        default = OFF if off else "" if unsaid else _shown(value)
    mappings = (defaults or {}, kinds or {})
    metadata = {_KEY: (kind, help, tuple(verbs.split()), default, off, *mappings, heading)}
    if isinstance(value, dict):
        return field(default_factory=lambda: dict(value), metadata=metadata)
    return field(default=value, metadata=metadata)


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(map(_shown, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


class Options:
    """The options of one stage: a base for frozen dataclasses whose fields are made by ``opt``.

    A value is checked, and taken from its plain form, wherever it comes from. Raises OptionError.
    """

    heading: ClassVar[str] = ""

    def __post_init__(self) -> None:
        for described in fields(self):  # type: ignore[arg-type]
            value = getattr(self, described.name)
            if value is not None or described.default is not None:
                object.__setattr__(self, described.name, option_of(described).load(value))


def option_of(described: Field[Any]) -> Option:
    """Return what a field made by ``opt`` says of itself."""
    return Option(described.name, *described.metadata[_KEY])


def options_in(group: type[Options]) -> list[Option]:
    """Return the options of a dataclass in their order."""
    options = [option_of(described) for described in fields(group)]  # type: ignore[arg-type]
    return [
        described if described.heading else replace(described, heading=group.heading)
        for described in options
    ]
