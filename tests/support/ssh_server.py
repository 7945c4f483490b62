"""An ssh server on 127.0.0.1 that plays a board: a program of its own, so that it can be stopped.

    python ssh_server.py FOLDER

It prints its port. FOLDER has the keys (see ssh_board.py); what is in its environment.json is the
environment of each command, read when that is run, and a file "moods" how it behaves.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path

import asyncssh


def moods(folder: Path) -> list[str]:
    """Return what is out of the ordinary with the board now."""
    path = folder / "moods"
    return path.read_text().split() if path.exists() else []


class BoardServer(asyncssh.SSHServer):
    """It lets those in who have the key, under any name."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.sessions, self.keys = folder, 0, 0
        self.authorized = asyncssh.read_public_key(folder / "user_key.pub")

    def connection_made(self, connection: asyncssh.SSHServerConnection) -> None:
        self.connection = connection

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        self.keys += 1
        if "two-keys" in moods(self.folder) and self.keys > 2:
            reason = "Too many authentication failures"
            self.connection.disconnect(asyncssh.DISC_PROTOCOL_ERROR, reason)
        return key.public_data == self.authorized.public_data

    def session_requested(self) -> asyncssh.SSHServerSession[bytes] | bool:
        self.sessions += 1
        if "one-session" in moods(self.folder) and self.sessions > 1:
            raise asyncssh.ChannelOpenError(1, "open failed")
        serve_session = partial(serve_command, folder=self.folder)
        return asyncssh.SSHServerProcess(serve_session, None, 3, False)


async def serve_command(process: asyncssh.SSHServerProcess[bytes], folder: Path) -> None:
    """Run a command as sshd does: its pipes are closed with the channel, and its end is told."""
    if "nologin" in moods(folder):
        process.stdout.write(b"This account is currently not available.\n")
        process.exit(1)
        return
    environment = json.loads((folder / "environment.json").read_text())
    child = await asyncio.create_subprocess_exec(
        "/bin/sh",
        "-c",
        process.command or "",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment,
        cwd="/",
        start_new_session=True,
    )
    assert child.stdin
    if "noise" in moods(folder):
        process.stdout.write(b"Welcome to Armbian!\n\x1b[31mlast login: never\n")
    await process.redirect(
        stdin=child.stdin, stdout=child.stdout, stderr=child.stderr, recv_eof=True, send_eof=False
    )
    ended = asyncio.create_task(child.wait())
    closed = asyncio.create_task(process.channel.wait_closed())
    await asyncio.wait({ended, closed}, return_when=asyncio.FIRST_COMPLETED)
    if not ended.done():
        with suppress(OSError):
            child.stdin.close()
    code = await ended
    child.stdin.close()  # of what it has left behind
    if closed.done():
        return

    await process.stdout.drain()
    if code < 0:
        process.exit_with_signal(signal.Signals(-code).name.removeprefix("SIG"))
    else:
        process.exit(code)


async def serve(folder: Path) -> None:
    """Listen on any port, until the program is ended."""
    acceptor = await asyncssh.create_server(
        lambda: BoardServer(folder),
        "127.0.0.1",
        0,
        server_host_keys=[str(folder / "host_key")],
        encoding=None,
    )
    print(acceptor.get_port(), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
