"""The options of a verb as parameters of its command, made from the table of options.

    @app.command()
    @takes("prune")
    def command(model: o.Model, output: o.OutputFile, options: OptionValues) -> None: ...

``options`` holds those that were given, by their names; the default of the others belongs to the
recipe that they change.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import suppress
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from ..core.diagnostics import option, render, speaking
from ..core.errors import OptionError
from ..core.option_kinds import Flag, Kind
from ..core.options import OFF, Option, suggestion
from ..pipeline.options.option_table import old_names, options_of, renamed
from .completion import completer
from .phrases import command_phrase
from .plain_words import read_plainly
from .verb_help import is_short, verb_help

# name -> plain value
OptionValues = dict[str, Any]
# what is shown after the options of the table
_LAST = ("report", "as_json", "quiet", "verbose")


class VerbCommand(TyperCommand):
    """The command of a verb, with help of ours: -h is its short form."""

    def get_params(self, ctx: Any) -> Any:
        """Return the parameters, such that no pydantic is needed to read them."""
        params = super().get_params(ctx)
        read_plainly(params)
        return params

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the words. Raises Typer's UsageError, or the OptionError of a value."""
        self._is_short = is_short(args)
        has_empty = "" in args
        rest: list[str] = super().parse_args(ctx, args)
        if has_empty and not ctx.resilient_parsing:  # of which a path would be the current folder
            hint = "check the variable or the quotes that it comes from"
            raise OptionError("one of the words is empty", hint)
        return rest

    def get_help(self, ctx: Any) -> str:
        """Return the help, as wide as the terminal."""
        return verb_help(self, ctx, short=self._is_short)


def takes(verb: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return a decorator that gives a command the options of ``verb``, before those of its own.

    The command's arguments come first, then what it writes, then the options of the table.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own = _own_parameters(command)
        parameters = [*own, *(_parameter(described, verb) for described in options_of(verb))]
        parameters += [_alias(old, verb) for old in old_names(verb)]

        def call(**values: Any) -> None:
            mine = {name: values.pop(name) for name in list(values) if name in names}
            command(**mine, options=_present(verb, values))

        names = {parameter.name for parameter in own}
        call.__doc__ = command.__doc__
        parameters.sort(key=lambda parameter: parameter.name in _LAST)
        call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        call.__annotations__ = {}
        return call

    return decorate


def _own_parameters(command: Callable[..., None]) -> list[inspect.Parameter]:
    # not get_type_hints: in Python 3.10 it hides what is Annotated in an Optional, beside None
    return [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for name, parameter in inspect.signature(command, eval_str=True).parameters.items()
        if name != "options"
    ]


def _parameter(described: Option, verb: str) -> inspect.Parameter:
    kind = described.kinds.get(verb, described.kind)
    if isinstance(kind, Flag):
        flag = typer.Option(
            f"--{described.flag}",
            help=_rendered(described.help),
            rich_help_panel=described.heading,
        )
        return _keyword(described.name, Annotated[bool, flag], False)
    shown = typer.Option(
        f"--{described.flag}",
        metavar=kind.metavar if verb in described.kinds else described.metavar,
        parser=word_reader(described.flag, kind, off=described.off),
        help=_rendered(described.help),
        rich_help_panel=described.heading,
        autocompletion=completer(described.name, kind, off=described.off),
    )
    annotation = Annotated[list[Any], shown] if kind.repeats else Annotated[Any, shown]
    return _keyword(described.name, annotation, None)


def _alias(old: str, verb: str) -> inspect.Parameter:
    """Return the parameter of a name of earlier versions: taken, but not shown."""
    hidden = typer.Option(f"--{old}", parser=_old_reader(verb, old), hidden=True)
    return _keyword(old, Annotated[Any, hidden], None)


def _keyword(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(name, kind, annotation=annotation, default=default)


def _rendered(text: str) -> str:
    with speaking(command_phrase):  # whoever imports the command
        return render(text)


def word_reader(flag: str, kind: Kind, *, off: bool = False) -> Callable[[str], Any]:
    """Return a parser for Typer: the plain value of a word, or OptionError."""

    def read(text: str) -> Any:
        if off and text == OFF:
            return text
        with suppress(ValueError):
            plain = kind.read(text)
            kind.load(plain)
            return plain
        hint = suggestion(flag, kind, text)
        raise OptionError(f"{option(flag)}: {text!r} is not {kind.wants}", hint)

    return read


def _old_reader(verb: str, old: str) -> Callable[[str], Any]:
    """Return a parser for a name of earlier versions, whose values may be of several options."""
    by_name = {described.name: described for described in options_of(verb)}

    def read(text: str) -> Any:
        name, value = renamed(verb, old, text)
        described = by_name[name]
        kind = described.kinds.get(verb, described.kind)
        return word_reader(described.flag, kind, off=described.off)(value)

    return read


def _present(verb: str, values: dict[str, Any]) -> OptionValues:
    """Return what was given, by the present names, with what was repeated put together."""
    kinds = {
        described.name: described.kind for described in options_of(verb) if described.kind.repeats
    }
    old, present = old_names(verb), {}
    for name, value in values.items():
        if value is not None and value is not False:
            is_list = name in kinds and isinstance(value, list)
            joined = kinds[name].joined(value) if is_list else value
            now, joined = renamed(verb, name, joined) if name in old else (name, joined)
            if now in present:
                raise OptionError(
                    f"{option(now.replace('_', '-'))} is given by an earlier name too",
                    "leave one out",
                )
            present[now] = joined
    return present
