"""A default that differs from command to command: one help text, of which each shows its own."""

from __future__ import annotations

import re
from typing import Any

_DEFAULT = re.compile(r"\[default: ([^;\]]*)((?:; [a-z]+: [^;\]]*)+)\]")


def own_default(text: str, command: str) -> str:
    """A help text with the default of this command alone.

    >>> own_default("Chip. [default: rk3588; inspect: none]", "inspect")
    'Chip. [default: none]'
    >>> own_default("Chip. [default: rk3588; inspect: none]", "run")
    'Chip. [default: rk3588]'
    """

    def chosen(found: re.Match[str]) -> str:
        others = dict(one.split(": ", 1) for one in found[2].split("; ")[1:])
        return f"[default: {others.get(command, found[1])}]"

    return _DEFAULT.sub(chosen, text)


def with_own_defaults(command: Any, name: str) -> Any:
    """The command, which shows its own defaults."""
    for param in command.params:
        if getattr(param, "help", None):
            param.help = own_default(param.help, name)
    return command
