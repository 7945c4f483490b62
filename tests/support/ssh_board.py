"""A board as far as ssh can tell: a server on 127.0.0.1, keys, and the client that knows them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from shutil import which
from typing import TypeVar

import psutil

_SERVER = Path(__file__).with_name("ssh_server.py")
# what programs of the board may be found by their names, beside those of its own bin folder
_PATH = os.environ["PATH"]
_SSH = which("ssh")


class SshBoard:
    """A running server, in a folder with ``bin`` (first of the board's PATH) and ``tmp``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.temporary = folder / "tmp"
        self.bin = folder / "bin"
        self.tools = folder / "tools"
        for path in (folder, self.temporary, self.bin, self.tools):
            path.mkdir(exist_ok=True)
        for name in ("host_key", "user_key", "other_key"):
            _make_key(folder / name)
        self.environment({})
        self._start()
        self.know_host()
        self.configure()

    def _start(self) -> None:
        self.server = subprocess.Popen(
            # asyncssh leaves coroutines behind when a connection is cut, and warns of them
            [sys.executable, "-W", "ignore", str(_SERVER), str(self.folder)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.server.stdout
        self.port = int(self.server.stdout.readline())

    @property
    def address(self) -> str:
        return f"ssh://tester@127.0.0.1:{self.port}"

    def environment(self, values: dict[str, str]) -> None:
        """Let the board's programs have this environment from now on."""
        usual = {"PATH": f"{self.bin}:{_PATH}", "TMPDIR": str(self.temporary), "HOME": "/"}
        (self.folder / "environment.json").write_text(json.dumps(usual | values))

    def moods(self, *words: str) -> None:
        """Let the server behave oddly; see ssh_server.py."""
        (self.folder / "moods").write_text(" ".join(words))

    def program(self, name: str, script: str) -> None:
        """Put a shell script in the place of a program of the board."""
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def know_host(self, key: str = "host_key") -> None:
        """Let the client know this key as the board's."""
        words = " ".join((self.folder / f"{key}.pub").read_text().split()[:2])
        (self.folder / "known_hosts").write_text(f"[127.0.0.1]:{self.port} {words}\n")

    def configure(self, *lines: str, options: str = "") -> None:
        """Write the client's configuration; what is set first counts, so these ``lines`` do.

        The ``options`` come before those of whoever starts it, even before that.
        """
        own = [f"UserKnownHostsFile {self.folder}/known_hosts", "GlobalKnownHostsFile none"]
        own += [f"IdentityFile {self.folder}/user_key", "IdentitiesOnly yes"]
        own += ["IdentityAgent none"]
        (self.folder / "ssh_config").write_text("\n".join([*lines, *own]) + "\n")
        # its own configuration is found by the user's number, not by HOME
        wrapper = self.tools / "ssh"
        wrapper.write_text(f'#!/bin/sh\nexec {_SSH} -F {self.folder}/ssh_config {options} "$@"\n')
        wrapper.chmod(0o755)

    @property
    def search_path(self) -> str:
        """The PATH on which ssh is the client that knows the board."""
        return f"{self.tools}:{_PATH}"

    def left(self) -> list[Path]:
        """Return what lies in the board's temporary folder."""
        return list(self.temporary.iterdir())

    def reset(self) -> None:
        """Be an ordinary board again."""
        self.moods()
        self.environment({})
        self.configure()
        self.know_host()
        for path in self.bin.iterdir():
            path.unlink()

    def connections(self) -> int:
        """Return how many clients the server has now."""
        server = psutil.Process(self.server.pid)
        # psutil before 6 has it under its old name
        connections = getattr(server, "net_connections", None) or server.connections
        return sum(each.status == "ESTABLISHED" for each in connections())

    def programs(self) -> list[psutil.Process]:
        """Return what runs on the board."""
        running = psutil.Process(self.server.pid).children(recursive=True)
        ours = f"{self.temporary}"
        lost = [each for each in psutil.process_iter() if ours in environment_of(each)]
        return list({each.pid: each for each in (*running, *lost)}.values())

    def wait_for_program(self, word: str) -> psutil.Process:
        """Return a program of the board with this word in its command line, once it runs."""
        return waited_for(lambda: next((p for p in self.programs() if word in line_of(p)), None))

    def end_programs(self) -> None:
        """Kill what runs on the board, and remove what lies there."""
        for program in self.programs():
            with suppress(psutil.Error):
                program.kill()
        for path in self.left():
            shutil.rmtree(path)

    def wait_until_clean(self) -> None:
        """Wait until nothing runs on the board, nor lies on it. Raises AssertionError."""
        waited_for(lambda: not self.programs() and not self.left())

    def close(self) -> None:
        self.server.send_signal(signal.SIGCONT)
        self.server.kill()
        self.server.wait()


@contextmanager
def ssh_board(folder: Path) -> Iterator[SshBoard]:
    """Yield a board that runs meanwhile."""
    board = SshBoard(folder)
    try:
        yield board
    finally:
        board.close()


def line_of(process: psutil.Process) -> str:
    """Return the command line, nothing of a process that is no more."""
    with suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""


def environment_of(process: psutil.Process) -> str:
    with suppress(psutil.Error):
        return str(process.environ().get("TMPDIR", ""))
    return ""


T = TypeVar("T")


def waited_for(look: Callable[[], T | None], seconds: float = 20) -> T:
    """Look again and again until there is something. Raises AssertionError when there is not."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if seen := look():
            return seen
        time.sleep(0.05)
    raise AssertionError(f"it did not come in {seconds} s")


def _make_key(path: Path) -> None:
    words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", str(path)]
    subprocess.run(words, check=True)
