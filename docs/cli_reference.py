"""Write the help of every command into docs/command-line.md, below its marker.

python docs/cli_reference.py
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from rockpress.cli.main import COMMANDS

PAGE = Path(__file__).with_name("command-line.md")
MARKER = "<!-- What follows is written by docs/cli_reference.py. -->\n"


def help_of(command: str) -> str:
    """What ``rockpress COMMAND --help`` prints on a terminal of 100 columns."""
    done = subprocess.run(
        [sys.executable, "-m", "rockpress", command, "--help"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "COLUMNS": "100", "TERMINAL_WIDTH": "100"},
    )
    return "\n".join(line.rstrip() for line in done.stdout.strip().splitlines())


def reference() -> str:
    """The generated part of the page."""
    parts = [f"\n## rockpress {name}\n\n```text\n{help_of(name)}\n```\n" for name in COMMANDS]
    return "".join(parts)


def main() -> None:
    """Replace the generated part of the page."""
    head = PAGE.read_text().split(MARKER)[0]
    PAGE.write_text(head + MARKER + reference())


if __name__ == "__main__":
    main()
