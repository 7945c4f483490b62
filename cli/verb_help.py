"""The help of a verb: examples, then its options under headings, as wide as the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import fill, wrap
from typing import Any

from ..core.diagnostics import render, speaking
from ..pipeline.options.option_table import HEADINGS, options_of
from .examples import EXAMPLES
from .help_columns import DEFAULT, GAP, columns, help_width
from .phrases import command_phrase

_ARGUMENTS = "Arguments"
_SHORT = "-h"


def verb_help(command: Any, ctx: Any, *, short: bool) -> str:
    """Return the help of a verb's command; with ``short`` the first sentence of each option."""
    width, verb = help_width(ctx), ctx.info_name
    usage = " ".join(command.collect_usage_pieces(ctx))
    about = "\n\n".join(fill(part, width) for part in (command.help or "").split("\n\n"))
    examples = [_example(line, width) for line in EXAMPLES.get(verb, ())]
    parts = [f"Usage: {ctx.command_path} {usage}", about, "\n".join(examples)]
    with speaking(command_phrase):
        parts += _groups(command.get_params(ctx), verb, width, short=short)
    if short:
        parts.append(f"{ctx.command_path} --help says more of each.")
    return "\n\n".join(filter(None, parts))


def is_short(args: list[str]) -> bool:
    """Return whether these words ask for the short help."""
    return _SHORT in args and "--help" not in args


def _example(line: str, width: int) -> str:
    """Return a command line, broken as a shell takes it where it is too long."""
    room, indent = width - 2 * GAP, " " * GAP
    lines = wrap(line, room, subsequent_indent=2 * indent, break_on_hyphens=False)
    return " \\\n".join(f"{indent}{part}" for part in lines)


def _groups(params: list[Any], verb: str, width: int, *, short: bool) -> Iterator[str]:
    """Yield each heading with what stands under it."""
    texts = {described.name: render(described.help_for(verb)) for described in options_of(verb)}
    groups: dict[str, list[tuple[str, str]]] = {}
    for param in params:
        if not getattr(param, "hidden", False):
            text = texts.get(param.name, param.help or "")
            row = (_name(param), _meaning(param, _first_sentence(text) if short else text))
            groups.setdefault(_heading(param), []).append(row)
    for heading in (_ARGUMENTS, *HEADINGS):
        if heading in groups:
            yield f"{heading}:\n{columns(groups[heading], width)}"


def _heading(param: Any) -> str:
    if param.param_type_name == "argument":
        return _ARGUMENTS
    return getattr(param, "rich_help_panel", None) or HEADINGS[-1]


def _name(param: Any) -> str:
    if param.param_type_name == "argument":
        return str(param.metavar)
    names = ", ".join(sorted(param.opts, key=len))
    return names if param.is_flag or param.count else f"{names} {param.metavar or 'TEXT'}"


def _meaning(param: Any, text: str) -> str:
    if param.required and param.param_type_name != "argument":
        return f"{text} [required]"
    says = param.default in (None, False) or DEFAULT in text or not param.show_default
    return text if says or callable(param.default) else f"{text} [default: {param.default}]"


def _first_sentence(text: str) -> str:
    """Return a help text without what follows its first sentence, but for the default.

    >>> _first_sentence("Chip to build for. Repeatable. Known: a. [default: b]")
    'Chip to build for. [default: b]'
    """
    sentence, _, more = text.partition(". ")
    default = more[more.rindex(DEFAULT) :] if DEFAULT in more else ""
    return f"{sentence.rstrip('.')}. {default}".rstrip() if more else text
