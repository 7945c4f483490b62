"""What Typer finds wrong with a command line, in the form of all other errors."""

from __future__ import annotations

import re
import sys
from pathlib import PurePath
from typing import Any

from ..core.errors import OptionError
from ..core.suggestions import meant_word
from ..pipeline.options.option_table import meant_flag, verbs_with
from .examples import EXAMPLES

_EXTRA_WORDS = re.compile(r"unexpected extra arguments?(?:\(s\))? \((.*)\)$")
_NUMBERS = re.compile(r"[-+.\d\s]+")
_VERBS_OF_FILES = {".onnx": "run", ".toml": "run", ".rknn": "inspect", ".json": "compare"}


def usage_error(error: Any) -> OptionError:
    """Return what a UsageError of Typer says as an error of ours: what is wrong, and what to do."""
    typed = " ".join(["rockpress", *sys.argv[1:2]])  # Typer leaves it out of some errors
    command = error.ctx.command_path if error.ctx else typed
    say = _SAID.get(type(error).__name__, _other)
    message, hint = say(error, command)
    return OptionError(message, hint or f"{command} --help says what there is")


def unknown_command(name: str, commands: list[str]) -> OptionError:
    """Return the error for a command that there is not."""
    if name.startswith("-"):
        hint = f"it belongs behind a command, such as rockpress run MODEL {name}"
        return OptionError(f"there is no option {name} of rockpress", hint)
    verb = _VERBS_OF_FILES.get(PurePath(name).suffix.lower())
    meant = f"{verb} {name}" if verb else meant_word(name, commands)
    near = f"did you mean rockpress {meant}? " if meant else ""
    return OptionError(f"there is no command {name!r}", f"{near}there are {', '.join(commands)}")


def _missing(error: Any, command: str) -> tuple[str, str]:
    param = error.param
    name = param.metavar or param.name.upper()
    flag = "" if param.param_type_name == "argument" else f"{min(param.opts, key=len)} "
    example = EXAMPLES.get(error.ctx.info_name)
    return f"{flag}{name} is missing", f"such as {example[0]}" if example else ""


def _no_option(error: Any, command: str) -> tuple[str, str]:
    name, verb = error.option_name, error.ctx.info_name
    others = [other for other in verbs_with(name.lstrip("-")) if other != verb]
    flags = [flag for param in error.ctx.command.params for flag in param.opts if len(flag) > 2]
    meant = meant_flag(name.lstrip("-"), [flag.lstrip("-") for flag in flags])
    hint = (
        f"it is of {', '.join(others)}" if others else f"did you mean --{meant}?" if meant else ""
    )
    return f"there is no option {name} of {command}", hint


def _no_value(error: Any, command: str) -> tuple[str, str]:
    takes_none = error.message.endswith("does not take a value.")
    return f"{error.option_name} {'takes no value' if takes_none else 'needs a value'}", ""


def _other(error: Any, command: str) -> tuple[str, str]:
    if words := _EXTRA_WORDS.search(error.message):
        is_list = _NUMBERS.fullmatch(words[1])
        hint = "write a list with commas and no spaces: 1,2,3" if is_list else ""
        return f"{words[1]}: {command} does not take so many words", hint
    message = error.format_message().rstrip(".")
    return f"{message[:1].lower()}{message[1:]}", ""


_SAID = {
    "MissingParameter": _missing,
    "NoSuchOption": _no_option,
    "BadOptionUsage": _no_value,
}
