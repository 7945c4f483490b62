"""The command ``rockpress``: its table of commands and its entry point.

A command's module is imported only when that command runs or its options are completed, so
``--help`` and a mistyped name cost no more than Typer itself.
"""

from __future__ import annotations

import os
import sys
from functools import partial
from importlib import import_module
from textwrap import fill
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from ..core.diagnostics import speaking
from ..core.errors import OptionError
from .handler import catch_signals, run, signals_let_in
from .help_columns import columns, help_width
from .phrases import command_phrase
from .plain_words import read_plainly
from .streams import own_streams, require_stdout
from .supervisor import supervised

# One line a command: the name, which is that of its module, and what --help says about it. The
# module's own help starts with the same words.
COMMANDS = {
    "run": "Prune, quantize, convert and check a model: one command, one report.",
    "prune": "Remove whole channels from an ONNX model, or make its weights sparse.",
    "quantize": "Decide the number formats of an ONNX model.",
    "convert": "Convert an ONNX model to RKNN.",
    "check": "Compare a compressed model with its baseline.",
    "predict": "Show what a model says of images or arrays, or two models side by side.",
    "bench": "Measure a .rknn on a board: times, layers, memory, energy.",
    "tune": "Search for the trade-offs of a model: what is fastest for what it retains.",
    "compare": "Show results of several runs side by side.",
    "inspect": "Show what is inside a model, and how to feed it.",
    "doctor": "Check what is installed here and what it can do, or what a board has.",
    "init": "Write a recipe for models, a Makefile fragment and a file for CI.",
    "cache": "Show what is kept of finished stages, or remove it.",
    "demo": "Run the whole chain on the bundled model and data.",
}


_HELP = "help"  # as in other programs: rockpress help run


class LazyGroup(TyperGroup):
    """The commands as stubs with a name and a summary; the real one is put in when asked for."""

    def get_params(self, ctx: Any) -> Any:
        """Return the options before the command, read without pydantic."""
        params = super().get_params(ctx)
        read_plainly(params)
        return params

    def get_help(self, ctx: Any) -> str:
        """Return the help: where to begin, and the commands with all that their lines say."""
        width = help_width(ctx)
        parts = [
            f"Usage: {ctx.command_path} COMMAND ...",
            _start([], width),
            f"Commands:\n{columns(list(COMMANDS.items()), width)}",
            f"Options:\n{columns(_OPTIONS, width)}",
        ]
        return "\n\n".join(parts)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the real command, both to run it and to complete its options.

        Raises OptionError for one that there is not.
        """
        if args[0] == _HELP and not ctx.resilient_parsing:
            args = [*args[1:], "--help"]
            if len(args) == 1:
                typer.echo(ctx.get_help())
                raise typer.Exit
        if args[0] not in COMMANDS and not ctx.resilient_parsing:
            from .usage_errors import unknown_command

            raise unknown_command(args[0], list(COMMANDS))
        name, command, rest = super().resolve_command(ctx, args)
        if name in COMMANDS:
            module = import_module(f".commands.{name.replace('-', '_')}", __package__)
            command = typer.main.get_command(module.app)
            setattr(command, "rich_markup_mode", None)  # noqa: B010  (not in the type's signature)
        return name, command, rest


# Typer's errors of usage, which the versions of Typer have in different places
_UsageError: type[Exception] = typer.BadParameter.__bases__[0]

# Without a markup mode the help is plain text: drawing it with rich takes longer than all the rest.
app = typer.Typer(
    cls=LazyGroup,
    invoke_without_command=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)
_ABOUT = "rockpress makes an ONNX model fit a Rockchip NPU, and measures what that cost."
_BEGINNINGS = [
    ("rockpress demo", "see it at work on a bundled model"),
    ("rockpress init model.onnx --calib images/", "write a recipe for a model of yours"),
    ("rockpress run model.onnx --calib images/", "prune, quantize, convert and check it"),
    ("rockpress run --help", "what can be set; so of every command"),
]
_OPTIONS = [
    ("--version", "Show the version."),
    ("--install-completion", "Let the shell complete what is typed."),
    ("-h, --help", "Show this."),
]


def _start(more: list[tuple[str, str]], width: int) -> str:
    """Return where to begin."""
    rows = columns([*_BEGINNINGS, *more], width, longest=45)
    return f"{fill(_ABOUT, width)}\n\n{rows}"


def _show_version(is_asked: bool) -> None:
    if is_asked:
        from ..core.version import rockpress_version

        typer.echo(f"rockpress {rockpress_version()}")
        raise typer.Exit


@app.callback()
def rockpress(
    ctx: typer.Context,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Compress and quantize ONNX models for Rockchip NPUs, and measure what it cost."""
    if ctx.invoked_subcommand is None:
        typer.echo(_start([("rockpress --help", "all commands")], help_width(ctx)))
        raise typer.Exit(OptionError.exit_code)


for _name, _help in COMMANDS.items():
    app.command(_name, help=_help)(lambda: None)


def main() -> None:
    """Run the command line, in a process that can be ended at any moment; exit with its code."""
    verbose = not {"--verbose", "-v"}.isdisjoint(sys.argv)
    try:
        with speaking(command_phrase), own_streams():
            code = supervised(lambda: _run(verbose), verbose=verbose)
    except OSError as error:  # no process or open file more may be had
        code = run(partial(_raise, error))
    sys.exit(code)


def _raise(error: OSError) -> None:
    raise error


def _run(verbose: bool) -> int:
    catch_signals()
    return run(_command, verbose=verbose)


def _require_words_to_complete() -> None:
    """Let bash have said what is typed: Typer reads it without looking whether it is there."""
    if "_ROCKPRESS_COMPLETE" not in os.environ:
        return
    if not os.environ.get("COMP_CWORD", "").isdecimal():
        os.environ["COMP_CWORD"] = "0"
    os.environ.setdefault("COMP_WORDS", "")


def _command() -> None:
    with signals_let_in():  # nowhere else can what they raise be told
        require_stdout()
        _require_words_to_complete()
        try:
            code = app(prog_name="rockpress", standalone_mode=False)
        except _UsageError as error:
            from .usage_errors import usage_error

            raise usage_error(error) from None
        raise SystemExit(code)
