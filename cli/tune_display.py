"""What a search came to on stdout, and in files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .phrases import command_phrase
from .show import print_json, print_lines, print_table, print_verdict

if TYPE_CHECKING:
    from ..core.results.tune_report import TuneReport

_MOST_FAILURES = 3
_CHOSEN_FILE = "chosen.toml"


def show_tune(
    report: TuneReport,
    *,
    folder: Path,
    files: Sequence[Path] = (),
    as_json: bool = False,
    verbose: bool = False,
) -> None:
    """Print a search whose files are in ``folder``, and write it to ``files`` too."""
    from ..core.files import write_text
    from ..report.documents.tune_document import tune_document
    from ..report.tuning.tune_files import rendered_tune

    for file in files:
        write_text(file, rendered_tune(report, file.suffix))
    if as_json:
        print_json(tune_document(report))
        return
    _show(report, verbose=verbose)
    _show_next(report, folder, files)


def _show(report: TuneReport, *, verbose: bool) -> None:
    from ..report.text.tune_tables import front_table, reference_table
    from ..report.text.tune_text import failure_lines, search_line, table_notes, tune_verdict

    print_verdict(tune_verdict(report))
    print_lines([""])
    table = front_table(report)
    if table.rows:
        print_table(f"the front: {search_line(report)}", table.headings, table.rows, table.needs)
        beside = reference_table(report)
        if beside.rows:
            print_lines([""])
            print_table("beside it:", beside.headings, beside.rows, beside.needs)
        print_lines(table_notes(report))
    else:
        print_lines([search_line(report)])
    failures = list(failure_lines(report))
    print_lines(failures if verbose else failures[:_MOST_FAILURES])
    if not verbose and len(failures) > _MOST_FAILURES:
        print_lines([f"{len(failures) - _MOST_FAILURES} more failed: --verbose lists them"])


def _show_next(report: TuneReport, folder: Path, files: Sequence[Path]) -> None:
    """Print what is worth doing, and which files there are."""
    from ..core.diagnostics import render
    from ..report.text.tune_steps import tune_files, tune_steps

    steps = [render(step) for step in tune_steps(report)]
    if not any(file.suffix.lower() == ".html" for file in files):
        steps.append(f"all of it as one page: {command_phrase('report', 'tune.html')}")
    print_lines(["", "next:", *(f"- {step}" for step in steps)])
    written = [*tune_files(report, folder, _CHOSEN_FILE), folder / "tune.json", *files]
    print_lines([f"files: {', '.join(map(str, written))}"])
