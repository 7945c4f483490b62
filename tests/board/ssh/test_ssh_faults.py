"""Every way in which a real OpenSSH client does not get to a board, or finds it lacking."""

from __future__ import annotations

import shutil
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rockpress.board.links import shell_link
from rockpress.board.links.address import read_address
from rockpress.board.links.ssh import open_ssh
from rockpress.core.errors import BoardError
from ssh_board import SshBoard, ssh_board, waited_for


def fault_of(address: str, fault: str) -> BoardError:
    """Connect, and return the error, which has to be this fault, in one line with a hint."""
    with pytest.raises(BoardError) as caught:
        open_ssh(read_address(address), 30).close()
    return checked(caught.value, fault)


def checked(error: BoardError, fault: str) -> BoardError:
    assert error.fault == fault, f"{error.fault}: {error}"
    assert error.hint and "\n" not in str(error)
    assert "{" not in f"{error}{error.hint}"
    assert error.exit_code == 1
    return error


@contextmanager
def listening(answer: bytes | None) -> Iterator[int]:
    """Yield a port where somebody says this and hangs up; None is silence for ever."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    client, _ = server.accept()
                except OSError:
                    return
                clients.append(client)
                if answer is not None:
                    client.sendall(answer)
                    client.close()

        clients: list[socket.socket] = []
        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        for client in clients:
            client.close()


def test_no_ssh_program(board: SshBoard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "ssh").write_text("not to be run")
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    for path in ("/nowhere", "/etc/passwd", tmp_path / "bin"):
        monkeypatch.setenv("PATH", str(path))
        fault_of(board.address, "no-ssh")
        assert list((tmp_path / "scratch").iterdir()) == []


def test_a_host_that_nobody_knows(board: SshBoard) -> None:
    error = fault_of("ssh://pi@no-such-board.invalid", "host-unknown")
    assert "no-such-board.invalid" in str(error)


def test_nobody_listens(board: SshBoard) -> None:
    assert "ssh://user@host:PORT" in fault_of("ssh://127.0.0.1:1", "refused").hint


def test_no_way_there(board: SshBoard) -> None:
    fault_of("ssh://255.255.255.255", "unreachable")


def test_a_host_that_takes_the_connection_and_is_silent(board: SshBoard) -> None:
    board.configure(options="-o ConnectTimeout=1")
    with listening(None) as port:
        fault_of(f"ssh://127.0.0.1:{port}", "connect-timeout")


def test_an_unknown_host_key(board: SshBoard) -> None:
    (board.folder / "known_hosts").write_text("")
    error = fault_of(board.address, "host-key-unknown")
    assert f"ssh -p {board.port} tester@127.0.0.1 true" in error.hint


def test_a_changed_host_key(board: SshBoard) -> None:
    board.know_host("other_key")
    error = fault_of(board.address, "host-key-changed")
    assert f"ssh-keygen -R '[127.0.0.1]:{board.port}'" in error.hint


def test_a_key_that_is_not_let_in(board: SshBoard) -> None:
    board.configure(f"IdentityFile {board.folder}/other_key", "IdentitiesOnly yes")
    text = (board.folder / "ssh_config").read_text()
    (board.folder / "ssh_config").write_text(text.replace("user_key", "other_key"))
    assert "ssh-copy-id" in fault_of(board.address, "key-refused").hint


def test_a_key_that_others_may_read(board: SshBoard) -> None:
    (board.folder / "user_key").chmod(0o644)
    try:
        assert "chmod 600" in fault_of(board.address, "key-permissions").hint
    finally:
        (board.folder / "user_key").chmod(0o600)


def test_no_method_in_common(board: SshBoard) -> None:
    board.configure("HostKeyAlgorithms rsa-sha2-256")
    fault_of(board.address, "no-common-algorithm")


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
def test_no_ssh_server(board: SshBoard, answer: bytes) -> None:
    with listening(answer) as port:
        fault_of(f"ssh://127.0.0.1:{port}", "no-ssh-server")


def test_a_configuration_that_cannot_be_read(board: SshBoard) -> None:
    board.configure("NoSuchOption yes")
    assert "nosuchoption" in str(fault_of(board.address, "ssh-configuration"))


def test_a_user_without_a_shell(board: SshBoard) -> None:
    board.moods("nologin")
    assert "currently not available" in str(fault_of(board.address, "no-shell"))


def test_a_server_that_allows_one_session(board: SshBoard) -> None:
    board.moods("one-session")
    with open_ssh(read_address(board.address), 30) as link, pytest.raises(BoardError) as caught:
        link.put(b"x", "x")
    checked(caught.value, "session-refused")
    board.wait_until_clean()


def test_a_board_that_hangs_before_the_answer(
    board: SshBoard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shell_link, "_ANSWER_SECONDS", 1.0)
    monkeypatch.setattr(shell_link, "_PATIENCE", 0.1)
    board.program("mkdir", "sleep 60")
    fault_of(board.address, "no-answer")
    board.end_programs()


def test_a_board_that_hangs_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with ssh_board(tmp_path / "b") as board:
        monkeypatch.setenv("PATH", board.search_path)
        monkeypatch.setattr(shell_link, "_PATIENCE", 0.1)
        board.configure(options="-o ServerAliveInterval=3 -o ServerAliveCountMax=1")
        with open_ssh(read_address(board.address), 30) as link:
            board.server.send_signal(signal.SIGSTOP)
            with pytest.raises(BoardError) as caught:
                link.put(b"x" * 10_000_000, "x")
            board.server.send_signal(signal.SIGCONT)
        assert "not responding" in str(checked(caught.value, "connection-lost"))
        board.wait_until_clean()


def test_a_board_whose_power_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with ssh_board(tmp_path / "b") as board:
        monkeypatch.setenv("PATH", board.search_path)
        with open_ssh(read_address(board.address), 30) as link:
            board.server.kill()
            with pytest.raises(BoardError) as caught:
                link.put(b"x", "x")
        checked(caught.value, "connection-lost")
        waited_for(lambda: not board.left())


def test_a_file_that_takes_too_long(board: SshBoard, monkeypatch: pytest.MonkeyPatch) -> None:
    board.program("cat", "case $0 in *) [ -t 9 ] || exec sleep 30;; esac")
    with open_ssh(read_address(board.address), 1) as link, pytest.raises(BoardError) as caught:
        link.put(b"x", "x")
    checked(caught.value, "no-answer")
    board.end_programs()


@pytest.mark.parametrize(
    ("script", "fault"),
    [
        ("echo mkdir: cannot create $1: Read-only file system >&2; exit 1", "read-only"),
        ("exec dd if=/dev/zero of=/dev/full count=1", "disk-full"),
        ("echo mkdir: cannot create $1: Permission denied >&2; exit 1", "no-folder"),
    ],
)
def test_no_folder_there(board: SshBoard, script: str, fault: str) -> None:
    board.program("mkdir", script)
    fault_of(board.address, fault)


@pytest.mark.parametrize("name", ["with space", "a'b", "$(reboot)", ";reboot"])
def test_a_folder_that_a_shell_would_read(board: SshBoard, name: str) -> None:
    odd = board.temporary / name
    odd.mkdir()
    board.environment({"TMPDIR": str(odd)})
    fault_of(board.address, "no-folder")
    assert list(odd.iterdir()) == []
    odd.rmdir()


def test_a_disk_that_is_full(board: SshBoard) -> None:
    with open_ssh(read_address(board.address), 30) as link:
        board.program("cat", "exec /bin/cat >/dev/full")
        with pytest.raises(BoardError) as caught:
            link.put(b"x", "m.rknn")
    checked(caught.value, "disk-full")
    assert board.left() == []


def test_a_folder_that_is_removed_meanwhile(board: SshBoard) -> None:
    with open_ssh(read_address(board.address), 30) as link:
        folder = Path(link.folder)
        waited_for(lambda: (folder / ".heard").exists())  # what is written there first
        shutil.rmtree(folder)
        with pytest.raises(BoardError) as caught:
            link.put(b"x", "m.rknn")
    checked(caught.value, "folder-gone")


def test_a_file_that_cannot_be_written(board: SshBoard) -> None:
    with open_ssh(read_address(board.address), 30) as link:
        board.program("cat", "/bin/cat >/dev/null; echo cat: something odd >&2; exit 3")
        with pytest.raises(BoardError) as caught:
            link.put(b"x", "m.rknn")
    assert "m.rknn cannot be written" in str(checked(caught.value, "not-written"))


def test_no_python(board: SshBoard) -> None:
    board.environment({"PATH": str(board.folder / "bin")})
    for name in ("sh", "mkdir", "rm", "cat", "sleep"):
        board.program(name, f'exec /bin/{name} "$@"')
    fault_of(board.address, "no-python")
    assert board.left() == []


@pytest.mark.parametrize("version", ["3.6.15", "2.7.18"])
def test_a_python_that_is_too_old(board: SshBoard, version: str) -> None:
    board.program("python3", f"echo Python {version}")
    assert version in str(fault_of(board.address, "old-python"))


def test_too_many_keys_before_the_right_one(board: SshBoard) -> None:
    board.moods("two-keys")
    others = (board.folder / "other_key", board.folder / "host_key")
    board.configure(*(f"IdentityFile {path}" for path in others))
    fault_of(board.address, "too-many-keys")
