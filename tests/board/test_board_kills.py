"""``bench`` over ssh, killed at random moments on either side: nothing is left on either."""

from __future__ import annotations

import logging
import random
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from kills import SIGNALS, Kill, Killed, Victim
from rknn_files import rknn_with_manifest
from rockpress.board.board_session import open_board
from rockpress.core.errors import BoardError
from ssh_board import SshBoard, line_of, ssh_board, waited_for
from stand_in_board import StandInBoard

pytestmark = pytest.mark.toolkit

_log = logging.getLogger(__name__)  # -o log_cli=true -o log_cli_level=info shows each kill
_VICTIMS: tuple[Victim, ...] = ("command", "child", "group", "board", "board", "board")
_QUICK = ("--runs", 10, "--drift-runs", 100, "--quiet", "--json")


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SshBoard]:
    stand_in = StandInBoard(tmp_path / "files")
    stand_in.set(run_us=2000)
    with ssh_board(tmp_path / "board") as board:
        board.environment(stand_in.environment)
        monkeypatch.setenv("PATH", board.search_path)
        yield board


def broken_by_kills(board: SshBoard, folder: Path, count: int, seed: str) -> list[str]:
    """Kill the command or what runs on the board ``count`` times; return what should not be."""
    rknn_with_manifest(folder / "net.rknn", ())
    words = ["bench", "../../net.rknn", "--board", board.address, *_QUICK]
    killed, choice = Killed(folder / "killed", words, board.programs), random.Random(seed)
    broken = []
    for _ in range(count):
        moment = choice.uniform(0, 1.05 * killed.given.seconds)
        kill = Kill(choice.choice(SIGNALS), choice.choice(_VICTIMS), moment)
        texts = killed.kill(kill)
        try:
            board.wait_until_clean()
        except AssertionError:
            running = [process.cmdline() for process in board.programs()]
            texts.append(f"on the board: {running} {board.left()}")
            board.end_programs()
        broken += [f"{kill}: {text}" for text in texts]
        _log.info("%s: %s", kill, texts or "as it should be")
    return broken


def kill_soon(board: SshBoard, choice: random.Random) -> None:
    """Kill something on the board, within half a second from when anything runs there."""
    waited_for(board.programs)
    time.sleep(choice.uniform(0, 0.5))
    if running := board.programs():
        with suppress(psutil.NoSuchProcess):
            number = choice.choice([signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
            choice.choice(running).send_signal(number)


def broken_when_connecting(board: SshBoard, count: int) -> list[str]:
    """Kill what runs on the board while it is connected to; return what is left there."""
    choice, left = random.Random("c"), []
    for _ in range(count):
        with ThreadPoolExecutor(1) as pool:
            killing = pool.submit(kill_soon, board, choice)
            with suppress(BoardError), open_board(board.address, 20) as session:
                session.facts()
            killing.exception()  # there may have been nothing any more
        try:
            board.wait_until_clean()
        except AssertionError:
            left += [str(path) for path in board.left()]
            left += [line_of(process) for process in board.programs()]
            board.end_programs()
    return left


def test_kills_when_connecting_leave_nothing(board: SshBoard) -> None:
    assert broken_when_connecting(board, 4) == []


@pytest.mark.soak
def test_fifty_kills_when_connecting_leave_nothing(board: SshBoard) -> None:
    assert broken_when_connecting(board, 50) == []


def test_four_kills_leave_nothing(board: SshBoard, tmp_path: Path) -> None:
    assert broken_by_kills(board, tmp_path, 4, "a") == []


@pytest.mark.soak
def test_fifty_kills_leave_nothing(board: SshBoard, tmp_path: Path) -> None:
    assert broken_by_kills(board, tmp_path, 50, "b") == []
