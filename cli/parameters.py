"""The parameters of commands that are no options of a stage: what is read, written and shown.

All other options come from the table in pipeline/options, see verb_options.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option

from ..core.errors import OptionError
from ..report.formats import format_suffixes
from .completion import ONNX, RECIPE, file_completer, word_completer


def parse_report(text: str) -> Path:
    """Return the path of a report, whose suffix says in which format to write it.

    >>> parse_report("build/report.md").name
    'report.md'
    """
    return with_suffix_of(text, format_suffixes())


def with_suffix_of(text: str, suffixes: Sequence[str]) -> Path:
    """Return the path of ``--report``. Raises OptionError when it ends in no such suffix."""
    path = Path(text)
    if path.suffix.lower() not in suffixes:
        meant = path / "report.html" if path.is_dir() else path.with_suffix(".html")
        raise OptionError(
            f"--report: {text!r} does not end in one of {', '.join(suffixes)}",
            f"did you mean --report {meant}?",
        )
    return path


RESULT = "Result"  # a heading of the help, see HEADINGS in pipeline/options/option_table.py
SCHEMA = 1  # the version of the form of what --json prints

# What is read and written
Model = Annotated[
    Path,
    Argument(
        metavar="MODEL",
        help="ONNX model to read.",
        show_default=False,
        autocompletion=file_completer(ONNX),
    ),
]
ModelOrRecipe = Annotated[
    Path,
    Argument(
        metavar="MODEL|RECIPE.toml",
        help="ONNX model to read. Or a recipe: these options in a file, which those given here "
        "go before.",
        show_default=False,
        autocompletion=file_completer(ONNX, RECIPE),
    ),
]
OutputFile = Annotated[
    Path,
    Option(
        "--output",
        "-o",
        metavar="FILE",
        help="File to write.",
        show_default=False,
        rich_help_panel=RESULT,
    ),
]
OutputFileOrFolder = Annotated[
    Path,
    Option(
        "--output",
        "-o",
        metavar="FILE|DIR",
        help="File to write. With several --target a folder, which gets CHIP/MODEL.rknn for each.",
        show_default=False,
        rich_help_panel=RESULT,
    ),
]


def output_folder(default: str) -> Any:
    """Return the option of a folder to write to."""
    return Option(
        "--output",
        "-o",
        metavar="DIR",
        help=f"Folder to write to, made when missing. [default: {default}]",
        show_default=False,
        rich_help_panel=RESULT,
    )


ReportFiles = Annotated[
    list[Path] | None,
    Option(
        "--report",
        metavar="FILE",
        parser=parse_report,
        autocompletion=word_completer([f"report{suffix}" for suffix in format_suffixes()]),
        help="Write the report here too: .json, .md, .html or .xml (JUnit). Repeatable.",
    ),
]
Depfile = Annotated[
    Path | None,
    Option(
        "--depfile",
        metavar="FILE",
        help="Write a rule for Make here: which files the report depends on.",
    ),
]

# How a command behaves
DryRun = Annotated[
    bool, Option("--dry-run", help="Show what would be done and what is cached, and do nothing.")
]
Json = Annotated[bool, Option("--json", help="Print the result as one JSON document.")]
Quiet = Annotated[bool, Option("--quiet", "-q", help="No progress, only the result and warnings.")]
Verbose = Annotated[
    bool, Option("--verbose", "-v", help="Say more, and what caused an error underneath.")
]
