"""``rockpress compare``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .. import parameters as o
from ..comparison_display import parse_comparison, show_comparison
from ..verb_options import VerbCommand

Results = Annotated[
    list[Path],
    typer.Argument(
        metavar="RESULT...",
        help="Reports (.json), folders of runs (the reports in it, or all below it), or .rknn "
        "files. The first is what the others are compared with.",
        show_default=False,
    ),
]
ComparisonFiles = Annotated[
    list[Path] | None,
    typer.Option(
        "--report",
        metavar="FILE",
        parser=parse_comparison,
        help="Write the comparison here too: .html, .json or .md. Repeatable.",
    ),
]

app = typer.Typer(add_completion=False)


@app.command(cls=VerbCommand)
def command(
    results: Results,
    report: ComparisonFiles = None,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """Show results of several runs side by side."""
    from ...core.errors import OptionError
    from ...core.files import require_file
    from ...pipeline.comparison import compare_files

    for file in report or ():
        if any(path.is_file() and file.is_file() and path.samefile(file) for path in results):
            raise OptionError(f"--report {file} would replace what is read", "give it another name")
        require_file(file)
    show_comparison(compare_files(results), files=report or (), as_json=as_json)
