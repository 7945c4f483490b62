"""Files to write: that they can be, and that none of an earlier run is taken for a new one."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from glob import escape
from pathlib import Path

from ..core.diagnostics import option
from ..core.errors import OptionError, OutputError
from ..core.files import require_name, require_writable

_SUFFIX = ".old"
_LONGEST = ".intended.onnx"  # of the suffixes of files that are made


def require_output(output: Path, suffix: str, model: Path) -> None:
    """Raise OptionError when ``output`` has another suffix, or is the ``model`` that is read.

    Raises OutputError when it cannot be written.
    """
    require_names(output.parent, output.stem)
    if output.suffix.lower() != suffix or output.is_dir():
        fault = "is a folder" if output.is_dir() else f"does not end in {suffix}"
        raise OptionError(
            f"{option('output', str(output))}: the file to write {fault}",
            f"such as {option('output', f'model{suffix}')}",
        )
    require_unread(output, model)
    require_writable(output.parent)


def require_names(folder: Path, stem: str) -> None:
    """Raise OutputError when one of the files beside a result could not have its name."""
    require_name(folder / f"{stem}{_LONGEST}")


def require_unread(output: Path, model: Path) -> None:
    """Raise OptionError when a file to write is the ``model`` that is read."""
    if output.exists() and model.exists() and output.samefile(model):
        raise OptionError(
            f"{output}: to write it would replace the model that is read",
            f"give another name with {option('output')}",
        )


def archive_stale(folder: Path, stem: str) -> Path | None:
    """Move ``<stem>.*`` and ``<stem>-board`` of ``folder`` to ``<folder>.old``; None without any.

    A target that fails must not leave files where its new ones would be: somebody would flash
    them. Files of the same names in ``<folder>.old`` are replaced. Raises OutputError.
    """
    stale = sorted(path for path in folder.glob(f"{escape(stem)}.*") if path.is_file())
    stale += [path for path in [folder / f"{stem}-board"] if path.is_dir()]
    if not stale:
        return None
    archive = folder.with_name(folder.name + _SUFFIX)
    try:
        archive.mkdir(exist_ok=True)
        for path in stale:
            if path.is_dir() and (archive / path.name).exists():
                shutil.rmtree(archive / path.name)
            os.replace(path, archive / path.name)
    except OSError as error:
        raise OutputError(
            f"cannot move the files of an earlier run from {folder} to {archive}: "
            f"{error.strerror or error}",
            f"remove {folder} yourself: its files are not of this run",
        ) from error
    with suppress(OSError):  # there are files of others
        folder.rmdir()
    return archive
