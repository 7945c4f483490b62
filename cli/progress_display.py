"""Progress on stderr: rows on a terminal, lines in a log, nothing but warnings with --quiet."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from ..core.progress import Progress
from .progress_log import LogLines, ShownOnce, WarningsOnly
from .run_clock import RunClock


@contextmanager
def watching(*, quiet: bool) -> Iterator[Progress]:
    """Yield the progress that suits where stderr goes."""
    warnings = ShownOnce()
    if quiet:
        yield WarningsOnly(warnings)
    elif sys.stderr.isatty():
        from .progress_screen import on_screen

        with on_screen(warnings) as progress:
            yield progress
    else:
        lines = LogLines(warnings, RunClock())
        yield lines
        lines.close()
