"""Files and folders are written whole or not at all."""

from __future__ import annotations

import errno
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from rockpress.core import unfinished
from rockpress.core.errors import Interrupted, OutputError
from rockpress.core.files import (
    replacing,
    require_writable,
    sha256_of,
    staging,
    write_bytes,
    write_text,
)
from rockpress.core.scratch import scratch_folder


def tree(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def disk_full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_file_is_written_with_its_folders(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "c.txt"
    write_text(path, "häß")
    assert path.read_bytes() == "häß".encode()
    assert tree(tmp_path) == ["a", "a/b", "a/b/c.txt"]


def test_a_file_has_the_usual_permissions(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_text(tmp_path / "a", "x")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


def test_a_file_is_replaced(tmp_path: Path) -> None:
    write_bytes(tmp_path / "a", b"old")
    write_bytes(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"new"
    assert tree(tmp_path) == ["a"]


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_a_block_that_fails_leaves_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error), replacing(tmp_path / "new" / "deep" / "a") as temporary:
        temporary.write_text("half")
        raise error
    assert tree(tmp_path) == []


def test_the_old_file_stays_when_the_new_one_fails(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")
    with pytest.raises(ZeroDivisionError), replacing(tmp_path / "a") as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError
    assert (tmp_path / "a").read_text() == "old"
    assert tree(tmp_path) == ["a"]


@pytest.mark.parametrize("step", ["os.replace", "os.open"])
def test_a_full_disk_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    monkeypatch.setattr(step, disk_full)
    with pytest.raises(OutputError, match="No space left") as caught:
        write_text(tmp_path / "new" / "deep" / "a", "x")
    assert "free space" in caught.value.hint
    assert tree(tmp_path) == []


def test_a_full_disk_while_writing(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="No space left"), replacing(tmp_path / "a") as temporary:
        temporary.write_text("half")
        disk_full()
    assert tree(tmp_path) == []


def test_folders_that_were_there_stay(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    with pytest.raises(ZeroDivisionError), replacing(tmp_path / "old" / "new" / "a"):
        raise ZeroDivisionError
    assert tree(tmp_path) == ["old"]


def test_a_file_in_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "file" / "a", tmp_path / "file" / "deep" / "a"):
        with pytest.raises(OutputError, match="folder"):
            write_text(path, "x")
    with pytest.raises(OutputError, match="folder"):
        require_writable(tmp_path / "file")
    with pytest.raises(OutputError, match="folder"), staging(tmp_path / "file"):
        raise AssertionError("the block must not start")
    assert tree(tmp_path) == ["file"]


def test_a_folder_in_place_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(OutputError, match="it is a folder"):
        write_text(tmp_path / "a", "x")
    assert tree(tmp_path) == ["a"]


def test_no_device_is_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OutputError, match="not a regular file"):
        write_text(tmp_path / "pipe", "x")
    assert (tmp_path / "pipe").is_fifo()
    assert tree(tmp_path) == ["pipe"]


def test_more_folders_than_python_calls_itself(tmp_path: Path) -> None:
    path = tmp_path.joinpath(*["a"] * 1200, "b")
    write_text(path, "x")
    assert path.read_text() == "x"
    while path.parent != tmp_path:  # what clears up after the tests would call itself as well
        path.unlink() if path.is_file() else path.rmdir()
        path = path.parent


def test_no_link_that_leads_nowhere_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("nowhere")
    with pytest.raises(OutputError, match=r"write .*link: it is a link to nowhere, which is not"):
        write_text(tmp_path / "link", "x")
    with pytest.raises(OutputError, match=r"folder .*b: .*link is a link to nowhere, which is not"):
        write_text(tmp_path / "link" / "b" / "a", "x")
    assert tree(tmp_path) == ["link"]


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a file system that is read-only")
def test_a_place_that_takes_no_files() -> None:
    with pytest.raises(OutputError):
        write_text(Path("/proc/a"), "x")
    with pytest.raises(OutputError):
        require_writable(Path("/proc/new"))


def test_names_that_are_too_long(tmp_path: Path) -> None:
    for path in (tmp_path / "new" / ("x" * 300), tmp_path / "new" / ("x" * 300) / "a"):
        with pytest.raises(OutputError, match="too long"):
            write_text(path, "x")
        assert tree(tmp_path) == []


@pytest.mark.parametrize("name", ["x" * 255, "日" * 85])
def test_the_longest_name_there_may_be(tmp_path: Path, name: str) -> None:
    write_text(tmp_path / name, "x")
    assert tree(tmp_path) == [name]


def test_what_was_left_an_hour_ago_is_removed(tmp_path: Path) -> None:
    name = "a[1].onnx"
    left, just_begun = (tmp_path / f".{name}.{digit * 16}.part" for digit in "01")
    others = [
        tmp_path / f".{other}.part" for other in (f"b.{'2' * 16}", name, f"{name}.{'g' * 16}")
    ]
    for path in (left, just_begun, *others):
        path.touch()
        if path != just_begun:
            os.utime(path, (0, 0))
    write_text(tmp_path / name, "x")
    assert set(tmp_path.iterdir()) == {tmp_path / name, just_begun, *others}


def test_staging_moves_all_at_the_end(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "kept").write_text("kept")
    (tmp_path / "out" / "a").write_text("old")
    with staging(tmp_path / "out") as work:
        (work / "a").write_text("new")
        (work / "sub").mkdir()
        (work / "sub" / "b").write_bytes(bytes(1 << 24))
        assert (tmp_path / "out" / "a").read_text() == "old"
    assert tree(tmp_path / "out") == ["a", "kept", "sub", "sub/b"]
    top, below = (tmp_path / "out" / name for name in ("a", "sub/b"))
    assert top.stat().st_mtime_ns >= below.stat().st_mtime_ns  # a report is no older for make
    assert (tmp_path / "out" / "a").read_text() == "new"


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_staging_leaves_nothing_on_failure(tmp_path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error), staging(tmp_path / "new" / "out") as work:
        (work / "a").write_text("a")
        raise error
    assert tree(tmp_path) == []


def test_staging_moves_nothing_when_one_file_cannot_be_placed(tmp_path: Path) -> None:
    (tmp_path / "out" / "b").mkdir(parents=True)
    with pytest.raises(OutputError, match="it is a folder"), staging(tmp_path / "out") as work:
        (work / "a").write_text("a")
        (work / "b").write_text("b")
    assert tree(tmp_path) == ["out", "out/b"]


@pytest.mark.parametrize("step", ["os.replace", "rockpress.core.scratch._locked"])
def test_staging_on_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    monkeypatch.setattr(step, disk_full)
    with pytest.raises(OutputError, match="No space left"), staging(tmp_path / "new") as work:
        (work / "a").write_text("a")
    assert tree(tmp_path) == []


def test_a_folder_that_another_process_removes_meanwhile_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, folder = Path.mkdir, tmp_path / "new" / "deep"
    calls = 0

    def mkdir(path: Path, *args: Any, **options: Any) -> None:
        nonlocal calls
        made(path, *args, **options)
        if path == folder and (calls := calls + 1) == 1:
            path.rmdir()

    monkeypatch.setattr(Path, "mkdir", mkdir)
    require_writable(folder)
    assert calls > 1 and list(tmp_path.iterdir()) == []


def test_require_writable_leaves_no_trace(tmp_path: Path) -> None:
    require_writable(tmp_path / "new" / "deep")
    assert tree(tmp_path) == []


def test_digest(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert sha256_of(tmp_path / "a") == empty
    content = bytes(range(256)) * 5000
    (tmp_path / "a").write_bytes(content)
    (tmp_path / "b").write_bytes(content[:-1] + b"\0")
    assert sha256_of(tmp_path / "a") != sha256_of(tmp_path / "b")


def test_files_that_two_put_into_a_folder_at_once_are_not_mixed(tmp_path: Path) -> None:
    names = [f"file{number}" for number in range(12)]

    def put(who: str, start: threading.Barrier) -> None:
        with staging(tmp_path / "out") as folder:
            for name in names:
                (folder / name).write_text(who)
            start.wait()

    for _ in range(20):
        start = threading.Barrier(2)
        with ThreadPoolExecutor(2) as pool:
            for done in [pool.submit(put, who, start) for who in "ab"]:
                done.result()
        assert len({(tmp_path / "out" / name).read_text() for name in names}) == 1


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="Linux has it")
def test_a_folder_that_takes_no_files_is_not_called_missing() -> None:
    for path in ("/proc/rockpress.json", "/proc/rockpress/report.json"):
        with pytest.raises(OutputError, match=r"^cannot .*: /proc takes no files$"):
            write_text(Path(path), "")


def test_new_files_of_a_failure_are_removed_and_replaced_ones_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unfinished, "_list", None)
    write_text(tmp_path / "old", "before")
    unfinished.share()
    for name in ("old", "new", "deep/new"):
        write_text(tmp_path / name, "after")
    unfinished.remove_unfinished()
    assert tree(tmp_path) == ["old"]
    assert (tmp_path / "old").read_text() == "after"


def test_a_new_file_that_is_no_result_stays_when_the_command_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unfinished, "_list", None)
    unfinished.share()
    with replacing(tmp_path / "deep" / "kept", is_result=False) as temporary:
        temporary.write_bytes(b"")
    with pytest.raises(KeyboardInterrupt), replacing(tmp_path / "half", is_result=False):
        raise KeyboardInterrupt
    write_text(tmp_path / "text", "", is_result=False)
    unfinished.remove_unfinished()
    assert tree(tmp_path) == ["deep", "deep/kept", "text"]


def test_new_files_of_a_result_stay_whatever_its_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unfinished, "_list", None)
    unfinished.share()
    write_text(tmp_path / "new", "after")
    unfinished.keep_new()
    unfinished.remove_unfinished()
    assert tree(tmp_path) == ["new"]


def test_no_signal_comes_while_the_temporary_folder_is_tried_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = []

    def tried_out() -> str:
        blocked.append(signal.SIGTERM in signal.pthread_sigmask(signal.SIG_BLOCK, []))
        return str(tmp_path)

    monkeypatch.setattr("tempfile.gettempdir", tried_out)
    with scratch_folder() as folder:
        assert folder.parent == tmp_path
        assert signal.SIGTERM not in signal.pthread_sigmask(signal.SIG_BLOCK, [])
    assert blocked == [True]


def test_a_system_without_a_temporary_folder_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> str:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    monkeypatch.setattr("tempfile.gettempdir", missing)
    with pytest.raises(OutputError, match="No usable temporary directory"), scratch_folder():
        pass


@pytest.mark.parametrize("making", ["mkdir", "open"])
def test_a_signal_as_soon_as_it_is_there(
    making: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python may raise between the system's call and the next line."""
    make: Any = getattr(os, making)

    def interrupted(*args: Any, **options: Any) -> None:
        make(*args, **options)
        raise Interrupted(130)

    monkeypatch.setattr(unfinished, "_list", None)
    unfinished.share()
    with monkeypatch.context() as patch, pytest.raises(Interrupted):
        patch.setattr(os, making, interrupted)
        with scratch_folder(tmp_path) if making == "mkdir" else replacing(tmp_path / "a"):
            raise AssertionError("it was not interrupted")
    assert len(tree(tmp_path)) == 1
    unfinished.remove_unfinished()
    assert tree(tmp_path) == []


def test_an_old_folder_without_a_mark_is_removed_when_it_is_empty(tmp_path: Path) -> None:
    names = [f"rockpress-{digit * 16}" for digit in "0123"] + ["rockpress-models"]
    for name in names:
        (tmp_path / name).mkdir(mode=0o700)
    (tmp_path / names[1] / "file").touch()
    for name in (names[0], names[1], names[4]):  # 2 and 3 are of somebody who has just begun
        os.utime(tmp_path / name, (0, 0))
    with scratch_folder(tmp_path) as folder:
        pass
    assert not folder.exists()
    assert {path.name for path in tmp_path.iterdir()} == {*names[1:]}
