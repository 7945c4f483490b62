"""The agent as one file that Python runs: its modules in a zip, made anew from those here."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

_FOLDER = Path(__file__).with_name("agent")
_LONG_AGO = (1980, 1, 1, 0, 0, 0)
# Any Python reads this part, so that one that is too old can be told from one that is broken.
_MAIN = """\
import sys
if sys.version_info < (3, 7):
    sys.stdout.write('{"agent": 1, "python": "%d.%d.%d"}\\n' % sys.version_info[:3])
    sys.exit(1)
from agent.guardian import main
main()
"""


def agent_program() -> bytes:
    """Return the program; the same modules give the same bytes."""
    content = io.BytesIO()
    # stored: a small Python on a board may have no zlib
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo("__main__.py", _LONG_AGO), _MAIN)
        for module in sorted(_FOLDER.glob("*.py")):
            archive.writestr(zipfile.ZipInfo(f"agent/{module.name}", _LONG_AGO), module.read_text())
    return content.getvalue()
