"""Write the help of every command into docs/command-line.md, below its marker.

.venv/bin/python docs/cli_reference.py
"""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner

from rockpress.cli.main import COMMANDS, app
from rockpress.cli.phrases import command_phrase
from rockpress.core.diagnostics import speaking

PAGE = Path(__file__).with_name("command-line.md")
MARKER = "<!-- What follows is written by docs/cli_reference.py. -->\n"


def help_of(command: str) -> str:
    """Return what ``rockpress COMMAND --help`` prints on a terminal of 80 columns."""
    options = {"prog_name": "rockpress", "terminal_width": 80 - 2}  # as Click has it there
    with speaking(command_phrase):
        done = CliRunner().invoke(app, [command, "--help"], **options)
    return "\n".join(line.rstrip() for line in done.stdout.strip().splitlines())


def reference() -> str:
    """Return the generated part of the page."""
    parts = [f"\n## rockpress {name}\n\n```text\n{help_of(name)}\n```\n" for name in COMMANDS]
    return "".join(parts)


def main() -> None:
    """Replace the generated part of the page."""
    head = PAGE.read_text().split(MARKER)[0]
    PAGE.write_text(head + MARKER + reference())


if __name__ == "__main__":
    main()
