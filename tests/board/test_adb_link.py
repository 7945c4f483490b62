"""A board over adb: through a stand-in for the program, as no board has been at the other end."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from adb_board import SERIAL, AdbBoard
from rockpress.board.links import adb, shell_link
from rockpress.board.links.adb import open_adb
from rockpress.board.links.address import read_address
from rockpress.core.errors import BoardError

ADDRESS = read_address(f"adb://{SERIAL}")


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AdbBoard:
    board = AdbBoard(tmp_path / "board")
    monkeypatch.setenv("PATH", board.search_path)
    return board


def test_bytes_get_there_and_back_and_nothing_stays(board: AdbBoard) -> None:
    content = os.urandom(100_000)
    with open_adb(ADDRESS, 30) as link:
        path = link.put(content, "m.rknn")
        assert Path(path).read_bytes() == content
        program = link.start([link.python, link.put(b"print(input()[::-1])", "turn.py")])
        assert program.stdin and program.stdout
        program.stdin.write(b"abc\n")
        program.stdin.flush()
        assert program.stdout.readline() == b"cba\n"
        assert program.wait(20) == 0
    assert list(board.temporary.iterdir()) == []


@pytest.mark.parametrize(
    ("state", "fault"),
    [
        ("nothing", "adb-no-device"),
        ("unauthorized", "adb-unauthorized"),
        ("offline", "adb-offline"),
        ("several", "adb-several"),
        ("no-permission", "adb-no-permission"),
        ("other", "adb-unknown-serial"),
        ("server", "adb-server"),
        ("odd", "adb-failed"),
        ("lost", "adb-lost"),
        ("old", "adb-too-old"),
    ],
)
def test_adb_does_not_get_there(board: AdbBoard, state: str, fault: str) -> None:
    board.be(state)
    with pytest.raises(BoardError) as caught:
        open_adb(ADDRESS, 30)
    error = caught.value
    assert error.fault == fault, error
    assert error.hint and "\n" not in str(error)
    assert "{" not in f"{error}{error.hint}"


def test_adb_does_not_answer(board: AdbBoard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adb, "_ANSWER_SECONDS", 0.5)
    board.be("slow")
    with pytest.raises(BoardError) as caught:
        open_adb(ADDRESS, 30)
    assert caught.value.fault == "adb-silent" and "0.5 s" in str(caught.value)


def test_no_adb_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(BoardError) as caught:
        open_adb(ADDRESS, 30)
    assert caught.value.fault == "no-adb"


def test_a_cable_that_is_pulled_out(board: AdbBoard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shell_link, "_PATIENCE", 0.1)
    with open_adb(ADDRESS, 30) as link:
        board.be("lost")
        link._keeper.kill()
        with pytest.raises(BoardError) as caught:
            link.put(b"x", "x")
    assert caught.value.fault == "adb-lost"
