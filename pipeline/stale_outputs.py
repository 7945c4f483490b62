"""Files of an earlier run that this one should have replaced, but could not."""

from __future__ import annotations

import os
from contextlib import suppress
from glob import escape
from pathlib import Path

from ..core.errors import OutputError

_SUFFIX = ".old"


def set_aside(folder: Path, stem: str) -> Path | None:
    """Move the files ``<stem>.*`` of ``folder`` to ``<folder>.old``; None when there are none.

    A target that fails must not leave files where its new ones would be: somebody would flash
    them. Files of the same names in ``<folder>.old`` are replaced. Raises OutputError.
    """
    stale = sorted(path for path in folder.glob(f"{escape(stem)}.*") if path.is_file())
    if not stale:
        return None
    place = folder.with_name(folder.name + _SUFFIX)
    try:
        place.mkdir(exist_ok=True)
        for path in stale:
            os.replace(path, place / path.name)
    except OSError as error:
        raise OutputError(
            f"cannot move the files of an earlier run from {folder} to {place}: "
            f"{error.strerror or error}",
            f"remove {folder} yourself: its files are not of this run",
        ) from error
    with suppress(OSError):  # there are files of others
        folder.rmdir()
    return place
