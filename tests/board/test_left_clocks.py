"""Clocks are put back when nobody says that the connection is gone, or all that could is killed."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from rockpress.board import board_session
from rockpress.board.agent import silence
from rockpress.board.board_session import BoardSession, open_board
from rockpress.board.links import heartbeat
from rockpress.board.links.address import read_address
from rockpress.board.links.shell_link import ShellLink
from rockpress.board.links.ssh import open_ssh
from ssh_board import SshBoard, ssh_board, waited_for
from stand_in_board import NPU, StandInBoard

OLD = "rknpu_ondemand"


@pytest.fixture
def stand_in(tmp_path: Path) -> StandInBoard:
    return StandInBoard(tmp_path / "files")


@pytest.fixture
def there(
    stand_in: StandInBoard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[SshBoard]:
    with ssh_board(tmp_path / "ssh") as there:
        there.environment(stand_in.environment)
        monkeypatch.setenv("PATH", there.search_path)
        yield there


def governor(board: StandInBoard) -> str:
    return board.path(f"{NPU}/governor").read_text().strip()


def connected(there: SshBoard) -> ShellLink:
    return open_ssh(read_address(there.address), 30)


def test_a_connection_that_is_silent_is_given_up_there(
    stand_in: StandInBoard, there: SshBoard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client is stopped, so that nothing tells the board of anything."""
    monkeypatch.setattr(board_session, "SILENCE", 6.0)
    monkeypatch.setattr(heartbeat, "INTERVAL", 0.2)
    with connected(there) as link:
        BoardSession(link, timeout=20).set_clocks()
        assert governor(stand_in) == "performance"
        link._keeper.send_signal(signal.SIGSTOP)
        try:
            waited_for(lambda: not there.programs() and not there.left(), 60)
            assert governor(stand_in) == OLD
        finally:
            link._keeper.send_signal(signal.SIGCONT)


def test_silence_begins_anew_with_each_beat(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr("rockpress.board.agent.silence.time.monotonic", lambda: now)
    watched = silence.Silence(str(tmp_path), 60)
    now = 1000.0
    assert not watched.is_over(), "nothing was ever heard: there is no link that tells it"
    for beats, moment, is_over in ((1, 1001, 0), (1, 1060, 0), (2, 1100, 0), (2, 1161, 1)):
        (tmp_path / ".heard").write_bytes(b"\n" * beats)
        now = moment
        assert watched.is_over() == bool(is_over)


def kill_all(there: SshBoard) -> None:
    """Kill what runs on the board, and what cleans up after it, before that can do anything."""
    running = there.programs()
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for program in running:
            with suppress(psutil.Error):
                program.send_signal(number)
    waited_for(lambda: not there.programs())


def test_clocks_that_a_kill_has_left_are_put_back_by_the_next(
    stand_in: StandInBoard, there: SshBoard
) -> None:
    with connected(there) as link:
        BoardSession(link, timeout=20).set_clocks()
        kill_all(there)
    assert governor(stand_in) == "performance" and there.left() != []
    with open_board(there.address, 20) as session:
        facts = session.facts()
        assert session.facts().clocks_put_back == ()
    assert governor(stand_in) == OLD and facts.clocks_left == ()
    assert f"{stand_in.path(NPU)}/governor: {OLD}" in facts.clocks_put_back
    there.wait_until_clean()


def test_clocks_that_another_session_has_set_stay(stand_in: StandInBoard, there: SshBoard) -> None:
    with open_board(there.address, 20) as first:
        first.set_clocks()
        with open_board(there.address, 20) as second:
            assert second.facts().clocks_put_back == ()
        assert governor(stand_in) == "performance"
    assert governor(stand_in) == OLD


@pytest.mark.parametrize("mode", [0o700, 0o777])
def test_a_note_may_be_anybodys(
    stand_in: StandInBoard, there: SshBoard, tmp_path: Path, mode: int
) -> None:
    """It is read in a folder of this user's alone, and only governors are written."""
    other, file = there.temporary / "rockpress-board-other", tmp_path / "file"
    file.write_text("as it was")
    path = stand_in.path(f"{NPU}/governor")
    governors = {str(file): "changed", str(path): "powersave"}
    other.mkdir()
    (other / "clocks.json").write_text(json.dumps({"guardian": 0, "governors": governors}))
    other.chmod(mode)
    with open_board(there.address, 20) as session:
        put_back = session.facts().clocks_put_back
    assert file.read_text() == "as it was"
    assert put_back == ((f"{path}: powersave",) if mode == 0o700 else ())
    assert governor(stand_in) == ("powersave" if mode == 0o700 else OLD)
    assert other.exists() == (mode == 0o777)


def test_a_broken_note_is_passed_over(there: SshBoard) -> None:
    for place, text in enumerate(["", "[]", '{"governors": 1}', '{"governors": {"x": 2}}']):
        other = there.temporary / f"rockpress-board-{place}"
        other.mkdir(0o700)
        (other / "clocks.json").write_text(text)
    with open_board(there.address, 20) as session:
        assert session.facts().clocks_put_back == ()
