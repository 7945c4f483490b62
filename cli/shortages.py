"""What the machine or the system refuses, wherever it is asked: no bug of ours."""

from __future__ import annotations

import errno
import os
import re
import resource
from pathlib import Path

from ..core.errors import OutputError, RockpressError
from ..core.scratch import NO_SPACE, is_temporary, no_temporary_space

_SHOWN = 80
_RIGHTS = "check who may use the file and the folders above it (ls -ld), or give another path"
_DISK = "check the disk or the network that it is on"
_ODD_PATHS = {
    errno.ENAMETOOLONG: "give a shorter path: a name may have 255 bytes",
    errno.ELOOP: "a link there leads to itself: give another path",
    errno.EACCES: _RIGHTS,
    errno.EPERM: _RIGHTS,
    errno.EROFS: "nothing can be written there: give another path",
    errno.EIO: _DISK,
    errno.ESTALE: _DISK,
}
_MEMORY = "close other programs, or use fewer --jobs, a smaller --calib-count or model"
_FILES = "too many open files", "allow more of them (ulimit -n), or use fewer --jobs"
_PROCESSES = (
    "no more processes or threads can be started",
    "allow more of them (ulimit -u), or use fewer --jobs",
)
# in what an import or a thread that failed says
_WORDS = (
    (r"failed to map segment|annot allocate memory", ("out of memory", _MEMORY)),
    (r"Too many open files", _FILES),
    (r"can't start new thread|PosixThread", _PROCESSES),
)
_NUMBERS = {
    errno.ENOMEM: ("out of memory", _MEMORY),
    errno.EMFILE: _FILES,
    errno.ENFILE: _FILES,
    errno.EAGAIN: _PROCESSES,
    errno.EBADF: (
        "other code closed a file that the command has open",
        "a metric of your own must close only what it opened",
    ),
}


def shortage_of(error: Exception) -> RockpressError | None:
    """Return what the machine ran out of, if that is what the error says."""
    explained = _explained(error)
    if explained is not None:
        explained.__cause__ = error
    return explained


def memory_is_limited() -> bool:
    """Return whether the process may use only so much memory (ulimit -v).

    Then libraries fail in ways of their own, from a call of C that says nothing to an exit.
    """
    return resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY


def _explained(error: Exception) -> RockpressError | None:
    if isinstance(error, SystemError) and memory_is_limited():
        return RockpressError("out of memory", _MEMORY)
    if isinstance(error, MemoryError):
        return RockpressError(f"out of memory: {error}".rstrip(": "), _MEMORY)
    if isinstance(error, OSError) and error.errno in NO_SPACE:
        if isinstance(error.filename, str) and is_temporary(Path(error.filename)):
            return no_temporary_space(error)
        where = error.filename or "a file or the output"
        return OutputError(f"cannot write {where}: {error.strerror}", "make space there")
    if isinstance(error, OSError) and error.errno in _NUMBERS:
        return RockpressError(*_NUMBERS[error.errno])
    if isinstance(error, (ImportError, RuntimeError)):
        said = _whole_words(error)
        texts = (text for words, text in _WORDS if re.search(words, said))
        explanation = next(texts, None)
        return RockpressError(*explanation) if explanation else None
    return None


def _whole_words(error: BaseException | None) -> str:
    """Return what the error says, and what led to it: NumPy replaces what an import said."""
    return f"{error}\n{_whole_words(error.__cause__ or error.__context__)}" if error else ""


def odd_path_of(error: Exception) -> RockpressError | None:
    """Return what is wrong with a path that the system itself refuses."""
    if isinstance(error, FileNotFoundError) and not _has_working_folder():
        return RockpressError("the working folder was removed", "go to one that is there")
    if not isinstance(error, OSError) or error.errno not in _ODD_PATHS:
        return None
    if isinstance(error, PermissionError) and error.filename is None:  # it is of no path
        return None
    path = str(error.filename or "a path")
    short = path if len(path) <= _SHOWN else f"{path[:_SHOWN]}..."
    explained = RockpressError(f"{short}: {error.strerror}", _ODD_PATHS[error.errno])
    explained.__cause__ = error
    return explained


def _has_working_folder() -> bool:
    try:
        os.getcwd()
    except FileNotFoundError:
        return False
    return True
