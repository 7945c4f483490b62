"""Faults of a board that a real agent meets, in a command: one error, what to do, code 1."""

from __future__ import annotations

from pathlib import Path

import pytest

from commands import Run
from rknn_files import rknn_with_manifest
from stand_in_board import StandInBoard, built_runtime, stand_in_runtime

_INIT = "E RKNN: [01:19:04.510] "


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return rknn_with_manifest(tmp_path / "net.rknn", ())


def bench_error(rockpress: Run, model: Path, *words: object) -> str:
    done = rockpress("bench", model, "--board", "local", "--runs", 2, "--drift-runs", 0, *words)
    assert done.code == 1, done.err
    assert done.err.count("error: ") == done.err.count("hint: ") == 1, done.err
    return done.err


def test_a_model_newer_than_the_runtime_names_both(
    board: StandInBoard, rockpress: Run, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROCKPRESS_LIBRKNNRT", str(built_runtime("1.4.0")))
    lines = [f"{_INIT}6, 1", f"{_INIT}Invalid RKNN model version 6"]
    board.set(print_rknn_init=lines, fail_rknn_init=-1)
    error = bench_error(rockpress, model)
    assert "version 1.4.0" in error and "Invalid RKNN model version 6" in error
    assert "copy librknnrt.so of the toolkit" in error


def test_another_processor(
    board: StandInBoard,
    rockpress: Run,
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    content = bytearray(stand_in_runtime().read_bytes())
    content[4] = 1  # the class of an ELF file: 32 bits
    (tmp_path / "librknnrt.so").write_bytes(content)
    monkeypatch.setenv("ROCKPRESS_LIBRKNNRT", str(tmp_path / "librknnrt.so"))
    error = bench_error(rockpress, model)
    assert "for another processor" in error and "ELFCLASS32" in error


def test_a_runtime_that_is_not_there(
    board: StandInBoard, rockpress: Run, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROCKPRESS_LIBRKNNRT", "/nowhere/librknnrt.so")
    assert "has no librknnrt.so" in bench_error(rockpress, model)


@pytest.mark.parametrize(
    ("printed", "status", "text"),
    [
        ("The rknn model does not match the RKNPU hardware version!", -1, "another chip"),
        ("failed to allocate handle, ret: -1, errno: 12", -4, "memory"),
        ("failed to open rknpu module, need to insmod rknpu dirver!", -1, "no driver"),
        ("", -3, "is not free"),
        ("", -6, "no model"),
    ],
)
def test_what_the_runtime_refuses_at_first(
    board: StandInBoard, rockpress: Run, model: Path, printed: str, status: int, text: str
) -> None:
    board.set(print_rknn_init=f"{_INIT}{printed}", fail_rknn_init=status)
    assert text in bench_error(rockpress, model)


def test_an_npu_that_does_not_finish(board: StandInBoard, rockpress: Run, model: Path) -> None:
    line = f"{_INIT}failed to submit!, op id: 1, op name: Conv:Conv_0, flags: 0x5"
    board.set(print_rknn_run=line, fail_rknn_run=-1)
    assert "did not finish" in bench_error(rockpress, model)
    board.set(hang="rknn_run")
    assert "nothing has come" in bench_error(rockpress, model, "--timeout", 2)


def test_a_runtime_that_crashes(board: StandInBoard, rockpress: Run, model: Path) -> None:
    board.set(crash="rknn_run", print_rknn_run=f"{_INIT}last words")
    error = bench_error(rockpress, model)
    assert "crashed (SIGSEGV)" in error
    log = Path(error.partition("log: ")[2].splitlines()[0])
    assert "last words" in log.read_text()
    log.unlink()
