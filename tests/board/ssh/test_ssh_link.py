"""A board over a real OpenSSH client and a server on 127.0.0.1."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rockpress.board.board_session import BoardSession
from rockpress.board.links.address import read_address
from rockpress.board.links.shell_link import ShellLink
from rockpress.board.links.ssh import open_ssh
from ssh_board import SshBoard
from stand_in_board import NPU, StandInBoard

ECHO = b"import sys\nfor line in sys.stdin.buffer:\n    print(len(line), flush=True)\n"


def opened(board: SshBoard) -> ShellLink:
    return open_ssh(read_address(board.address), 30)


def test_files_get_there_whole_and_go_with_the_link(board: SshBoard, tmp_path: Path) -> None:
    content = os.urandom(300_000)
    (tmp_path / "m.rknn").write_bytes(content)
    with opened(board) as link:
        there = [Path(link.put(content, "a")), Path(link.put(tmp_path / "m.rknn", "b.rknn"))]
        assert [path.read_bytes() for path in there] == [content, content]
        assert there[0].parent.stat().st_mode & 0o777 == 0o700
        assert there[0].parent.parent == board.temporary
    assert board.left() == []


def test_programs_talk_in_bytes_over_one_connection(board: SshBoard) -> None:
    with opened(board) as link:
        path = link.put(ECHO, "echo.py")
        programs = [link.start([link.python, path]) for _ in range(3)]
        for size, program in enumerate(programs, 1):
            assert program.stdin and program.stdout
            program.stdin.write(b"\0\xff\r\x04" * size + b"\n")
            program.stdin.flush()
            assert program.stdout.readline() == b"%d\n" % (4 * size + 1)
        assert board.connections() == 1
    assert board.left() == []
    assert board.programs() == []


def test_what_a_shell_prints_first_is_no_answer(board: SshBoard) -> None:
    board.moods("noise")
    with opened(board) as link:
        assert link.folder.startswith(str(board.temporary))


def test_the_exit_code_of_a_program_comes_back(board: SshBoard) -> None:
    with opened(board) as link:
        ending = [link.put(b"import os, sys\nos._exit(7)", "a"), link.put(KILLED, "b")]
        codes = [link.start([link.python, path]).wait(20) for path in ending]
        assert codes == [7, 128 + 9]
        assert link.broken() is None


KILLED = b"import os\nos.kill(os.getpid(), 9)"


@pytest.mark.parametrize("name", ["", "-x", "../x", "a b", "a;b", ".processes"])
def test_a_file_has_a_name_of_its_own(board: SshBoard, name: str) -> None:
    with opened(board) as link, pytest.raises(ValueError, match="no name for a file"):
        link.put(b"", name)


def test_words_are_never_read_by_the_shell_there(board: SshBoard) -> None:
    with opened(board) as link, pytest.raises(ValueError, match="no words for the shell"):
        link.start([link.python, "$(reboot)"])


def test_a_program_that_does_not_end_is_ended(board: SshBoard) -> None:
    with opened(board) as link:
        path = link.put(b"import time\ntime.sleep(1000)", "hang.py")
        link.start([link.python, path])
        board.wait_for_program("hang.py")
    board.wait_until_clean()


def test_a_socket_has_a_short_path_whatever_tmpdir_is(
    board: SshBoard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tmp_path / ("long %h" * 20)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))
    with opened(board) as link:
        assert Path(link.put(b"x", "x")).read_bytes() == b"x"
    assert list(long.iterdir()) == []


def test_the_users_own_configuration_counts(board: SshBoard) -> None:
    board.configure("Host orange", "HostName 127.0.0.1", f"Port {board.port}", "User pi", "Host *")
    with open_ssh(read_address("ssh://orange"), 30) as link:
        assert link.folder


def test_a_command_of_the_configuration_is_not_run_instead(board: SshBoard) -> None:
    board.configure(
        "RemoteCommand tmux", "RequestTTY force", "LogLevel QUIET", "ControlMaster auto"
    )
    with opened(board) as link:
        assert link.folder


def test_closing_twice_is_no_mistake(board: SshBoard) -> None:
    link = opened(board)
    link.close()
    link.close()
    assert board.left() == []


def test_clocks_are_put_back_though_the_agent_was_killed(board: SshBoard, tmp_path: Path) -> None:
    files = StandInBoard(tmp_path / "files")
    board.environment(files.environment)
    governor = files.path(f"{NPU}/governor")
    with opened(board) as link:
        BoardSession(link).set_clocks()
        assert governor.read_text() == "performance"
        agents = [each for each in board.programs() if each.name().startswith("python")]
        for agent in agents:
            agent.kill()
    assert governor.read_text() == "rknpu_ondemand"
    board.wait_until_clean()
