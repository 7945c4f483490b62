"""Draw the screen of a report into docs/screen.svg, as a terminal of 100 columns shows it.

make demo
.venv/bin/python docs/screen_picture.py build/demo/report.json
"""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from os import environ
from pathlib import Path
from unittest import mock

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

from rockpress.cli.phrases import command_phrase
from rockpress.cli.result_screen import ResultScreen, show_report
from rockpress.core.diagnostics import speaking
from rockpress.core.results.report import Report
from rockpress.report.documents.report_reader import read_report

FILE = Path(__file__).with_name("screen.svg")
COLUMNS = 100
_COMMAND, _FOLDER = "rockpress demo -o build/demo", Path("build/demo")
# nothing from the network, which a picture on a page may not load anyway
_FORMAT = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)


class Terminal(io.StringIO):
    """What is printed, as to a terminal."""

    def isatty(self) -> bool:
        """Return that it is one."""
        return True


@contextmanager
def terminal(columns: int, **environment: str) -> Iterator[Terminal]:
    """Have stdout be a terminal of so many columns with colours."""
    settings = {"COLUMNS": str(columns), "LINES": "50", "TERM": "xterm-256color", **environment}
    names = ("NO_COLOR", "FORCE_COLOR", "COLORTERM", "GITHUB_ACTIONS")
    left = {name: value for name, value in environ.items() if name not in names}
    with (
        mock.patch.dict(environ, {**left, **settings}, clear=True),
        Terminal() as screen,
        redirect_stdout(screen),
        speaking(command_phrase),
    ):
        yield screen


def shown(report: Report) -> str:
    """Return the screen of a report of the demo, with the codes of its colours."""
    with terminal(COLUMNS) as screen:
        show_report(report, ResultScreen(folder=_FOLDER, shown=_all_warnings(report)))
        return screen.getvalue()


def picture(text: str) -> str:
    """Return the picture of a screen."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), legacy_windows=False)
    console.print(Text(f"$ {_COMMAND}", style="bold"))
    console.print(Text.from_ansi(text.rstrip()))
    drawn = console.export_svg(title="rockpress", code_format=_FORMAT, theme=MONOKAI, unique_id="x")
    return "\n".join(line.rstrip() for line in drawn.splitlines()) + "\n"


def _all_warnings(report: Report) -> frozenset[tuple[str, str]]:
    warnings = (warning for target in report.targets for warning in target.warnings)
    return frozenset((warning.code, warning.text) for warning in warnings)


if __name__ == "__main__":
    document = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    FILE.write_text(picture(shown(read_report(document))), encoding="utf-8")
