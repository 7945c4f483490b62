"""The screen of a report: the verdict, the table, what to do next, and where the files are."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .phrases import command_phrase
from .show import print_lines, print_table, print_verdict, warn
from .target_results import ShownWarnings, warnings_of

if TYPE_CHECKING:
    from ..core.results.report import Report
    from ..report.text.table import TextTable

_MOST_WARNINGS = 3


@dataclass(frozen=True)
class ResultScreen:
    """How a report is shown, and to which files it is written too.

    ``folder`` is where a command wrote its files; ``on_stdout`` is whether there is a screen at
    all, ``shown`` are warnings that were shown before.
    """

    as_json: bool = False
    verbose: bool = False
    files: Sequence[Path] = ()
    folder: Path | None = None
    on_stdout: bool = True
    shown: ShownWarnings = frozenset()


def show_report(report: Report, screen: ResultScreen) -> None:
    """Print the report and write it to files too; the suffix says in which format."""
    from ..core.files import write_text
    from ..report.documents.document import to_json
    from ..report.formats import rendered

    for file in screen.files:
        write_text(file, rendered(report, file.suffix))
    # before the result, which ends with what to do next
    _warn(report, screen)
    if screen.as_json:
        sys.stdout.write(to_json(report))
    elif screen.on_stdout:
        _show(report, screen)
    _annotate(report)


def _warn(report: Report, screen: ResultScreen) -> None:
    """Print the warnings that were not shown yet: on a terminal those that matter most."""
    targets = {target.target or "": target.warnings for target in report.targets}
    warnings = list(warnings_of(targets, screen.shown))
    most = None if screen.verbose or not sys.stderr.isatty() else _MOST_WARNINGS
    warn(warnings[:most])
    if more := len(warnings[most:]) if most else 0:
        print(f"{more} more: --verbose shows them", file=sys.stderr)


def _show(report: Report, screen: ResultScreen) -> None:
    from ..report.text.table import to_tables
    from ..report.text.verdict import target_verdict

    for target in report.targets:
        print_verdict(target_verdict(target))
    tables = to_tables(report)
    print_lines([""])
    _show_figures(report, tables)
    print_lines([""])
    _show_next(report, screen)
    # a log cannot be asked again
    if screen.verbose or not sys.stdout.isatty():
        print_lines([""])
        _show_details(tables)


def _show_figures(report: Report, tables: Sequence[TextTable]) -> None:
    """Print the forms of the model, or one row a target, and what an option asked for."""
    from ..report.text.summary import HEADINGS, NEEDS, summary_note, summary_rows

    note = tables[0].note
    if rows := summary_rows(report):
        print_table("all targets", HEADINGS, rows, NEEDS)
        note = summary_note(report)
    elif (models := tables[0].models) is not None:
        print_table(tables[0].title, models.headings, models.rows, models.needs)
    print_lines(filter(None, [note]))
    for table in tables:
        name = f"{table.title}: " if len(tables) > 1 else ""
        print_lines(f"{name}{line}" for line in table.asked)


def _show_details(tables: Sequence[TextTable]) -> None:
    for table in tables:
        if len(tables) > 1 and table.models is not None:
            models = table.models
            print_table(table.title, models.headings, models.rows, models.needs)
        elif len(tables) > 1:
            print_lines([table.title])
        print_lines(table.details)


def _show_next(report: Report, screen: ResultScreen) -> None:
    """Print what is worth doing, and which files there are."""
    files = _files(report, screen)
    if lines := [f"- {step}" for step in (*report.next, *_commands(report, files))]:
        print_lines(["next:", *lines])
    if files:
        print_lines([f"files: {', '.join(map(str, files))}"])
    if codes := {each.code for target in report.targets for each in target.warnings}:
        print_lines([_warnings_line(codes)])


def _commands(report: Report, files: Sequence[Path]) -> Iterator[str]:
    """Yield what to do with the result: run it on the board, and see all of it as a page."""
    built = next((file for file in files if file.suffix == ".rknn"), None)
    if built is not None and report.passed:
        yield _board_step(built)
    if not any(file.suffix.lower() == ".html" for file in files):
        yield f"all of it as one page: {command_phrase('report', 'report.html')}"


def _board_step(rknn: Path) -> str:
    """Return where the programs for the board are explained, or else how they are to be written."""
    from ..convert.manifest import board_folder

    use = board_folder(rknn) / "README.md"
    if use.is_file():
        return f"to run it on the board: {use}"
    from ..pipeline.tasks.board_code import missing_because

    why = missing_because(rknn)
    return (
        f"how to feed it on the board: rockpress inspect {shlex.quote(str(rknn))}"
        f"{f' (there are no programs for it: {why})' if why else ''}"
    )


def _files(report: Report, screen: ResultScreen) -> list[Path]:
    """Return what was written: the models, the document, and the reports that were asked for."""
    if screen.folder is None:
        return list(screen.files)
    paths = [target.models[-1].path for target in report.targets if target.models]
    models = [screen.folder / path for path in paths if path is not None]
    return [*models, screen.folder / "report.json", *screen.files]


def _warnings_line(codes: Iterable[str]) -> str:
    """Return which warnings there were, those that matter most by name."""
    from ..core.diagnostics import cost_rank

    ordered = sorted(codes, key=lambda code: (cost_rank(code), code))
    more = len(ordered) - _MOST_WARNINGS
    named = ", ".join(ordered[:_MOST_WARNINGS]) + (f" and {more} more" if more > 0 else "")
    return f"warnings, said above: {named}"


def _annotate(report: Report) -> None:
    """Print failed gates for GitHub on stderr, which its runner reads too, to keep --json."""
    from ..report.text.annotations import to_annotations

    if os.environ.get("GITHUB_ACTIONS") == "true":
        for line in to_annotations(report):
            print(line, file=sys.stderr)
