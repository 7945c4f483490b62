"""What the machine refuses is an error with a hint, and no bug: files, processes, memory."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from commands import in_a_process
from rockpress.cli.children import processes_below
from rockpress.cli.shortages import shortage_of


def limit(kind: int, amount: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(kind, (amount, amount))


@pytest.mark.parametrize("files", [5, 6, 8, 10])
def test_few_open_files(files: int, small_cnn: Path) -> None:
    done = in_a_process("inspect", small_cnn, preexec_fn=limit(resource.RLIMIT_NOFILE, files))
    if done.returncode:
        error, hint = done.stderr.splitlines()
        assert (done.returncode, done.stdout, error[:6]) == (1, "", "error:")
        assert hint.startswith("hint: allow more")
    assert done.returncode or files > 6


@pytest.mark.parametrize("megabytes", [60, 100, 200])
def test_little_memory(megabytes: int, small_cnn: Path) -> None:
    size = megabytes << 20
    done = in_a_process("inspect", small_cnn, preexec_fn=limit(resource.RLIMIT_AS, size))
    *_, error, hint = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (1, "")
    assert error == "error: out of memory" or "cannot start its threads" in error
    assert hint.startswith(("hint: close other programs", "hint: allow more memory"))


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (BlockingIOError(errno.EAGAIN, "not now"), "no more processes or threads can be started"),
        (RuntimeError("can't start new thread"), "no more processes or threads can be started"),
        (OSError(errno.ENFILE, "table overflow"), "too many open files"),
        (OSError(errno.ENOMEM, "no memory"), "out of memory"),
        (RuntimeError("anything else"), None),
    ],
)
def test_other_shortages(error: Exception, said: str | None) -> None:
    explained = shortage_of(error)
    assert (explained.message if explained else None) == said


def test_what_led_to_a_failed_import_counts() -> None:
    try:
        try:
            raise ImportError("libblas.so: failed to map segment from shared object")
        except ImportError as cause:
            raise ImportError("do not import numpy from its source directory") from cause
    except ImportError as error:
        explained = shortage_of(error)
    assert explained is not None and explained.message == "out of memory"


def test_a_system_without_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(*_: object) -> psutil.Process:
        raise psutil.NoSuchProcess(os.getpid())

    monkeypatch.setattr(psutil, "Process", absent)
    assert processes_below() == []
