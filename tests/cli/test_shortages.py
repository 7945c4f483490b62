"""What the machine refuses is an error with a hint, and no bug: files, processes, memory."""

from __future__ import annotations

import errno
import os
import resource
import tempfile
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from commands import in_a_process
from rockpress.calibration_data.bundled import MODEL, TEST, sample_path
from rockpress.cli.children import processes_below
from rockpress.cli.shortages import odd_path_of, shortage_of
from rockpress.cli.supervisor import _vanished
from rockpress.core.errors import TemporarySpaceError
from rockpress.core.scratch import scratch_folder


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


LIBRARIES_LEAVE = ("cannot start its threads", "ended itself with code 1 before it was done")


@pytest.mark.parametrize("megabytes", [60, 100, 115, 140, 200])
def test_little_memory(megabytes: int, small_cnn: Path) -> None:
    size = megabytes << 20
    done = in_a_process("inspect", small_cnn, preexec_fn=limit(resource.RLIMIT_AS, size))
    *_, error, hint = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (1, "")
    # which of them it is, and where, differs from run to run: addresses are laid out by chance
    said = ("error: out of memory", *LIBRARIES_LEAVE)
    assert any(words in error for words in said), error
    assert hint.startswith(("hint: close other programs", "hint: allow more memory"))


BUSY = """
def score(outputs, labels):
    while True:
        pass
"""


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ((3, 9), "has used its 3 s of CPU time (SIGXCPU)"),
        ((3, 3), "was ended from outside (SIGKILL), perhaps for having used its 3 s of CPU time"),
    ],
)
def test_little_cpu_time(limits: tuple[int, int], said: str, tmp_path: Path) -> None:
    model = sample_path(MODEL)
    (tmp_path / "busy.py").write_text(BUSY)
    done = in_a_process(
        *("check", model, model, "--eval", sample_path(TEST), "--metric", "busy:score", "-q"),
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, limits),
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines() == [
        f"error: the process of the command {said}",
        "hint: allow more CPU time (ulimit -t)",
    ]


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


def test_temporary_files_are_told_from_outputs(tmp_path: Path) -> None:
    full = errno.ENOSPC, "No space left on device"
    output = shortage_of(OSError(*full, str(tmp_path / "q.onnx")))
    assert output is not None and not isinstance(output, TemporarySpaceError)
    assert output.message == f"cannot write {tmp_path / 'q.onnx'}: No space left on device"
    with scratch_folder() as folder:
        temporary = shortage_of(OSError(*full, str(folder / "a" / "b")))
    assert isinstance(temporary, TemporarySpaceError)
    assert temporary.message == f"no space left in TMPDIR ({tempfile.gettempdir()})"
    assert "set TMPDIR" in temporary.hint


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "a/b"), "a/b: Permission denied"),
        (OSError(errno.EROFS, "Read-only file system", "a/b"), "a/b: Read-only file system"),
        (OSError(errno.EIO, "Input/output error"), "a path: Input/output error"),
        (PermissionError(errno.EPERM, "Operation not permitted"), None),  # such as of a process
    ],
)
def test_what_the_system_refuses_of_a_path(error: OSError, said: str | None) -> None:
    explained = odd_path_of(error)
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


@pytest.mark.parametrize("most", [resource.RLIM_INFINITY, 100 << 20])
def test_what_libraries_do_where_memory_is_limited(
    most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (most, most))
    is_limited = most != resource.RLIM_INFINITY
    explained = shortage_of(SystemError("compile returned NULL without setting an exception"))
    assert (explained is not None) == is_limited
    hint = _vanished(1).hint
    assert hint.startswith("allow more memory") == is_limited
    assert hint.endswith("a metric of your own must not call os._exit()")
