"""A board over the OpenSSH client: the user's own configuration, keys and agent."""

from __future__ import annotations

import re
from contextlib import ExitStack
from pathlib import Path

from ...core.scratch import scratch_folder
from ..faults.connection_faults import (
    CONNECTION_FAULTS,
    LOST,
    NO_ANSWER,
    NO_SHELL,
    NO_SSH,
    SESSION_REFUSED,
)
from .address import BoardAddress
from .shell_link import Shell, ShellLink

_SOCKET = "s"
# A socket's path has 107 bytes, of which ssh takes 17 for a name in the making; and ssh reads % and
# $ in it.
_SOCKET_PATH = re.compile(r"[\w./-]{1,85}", re.ASCII)
_SHORT = Path("/tmp")
# No question is ever asked, a board that is gone is noticed in 15 s, nothing is forwarded. Below
# INFO it does not say why it could not agree with a server.
_OPTIONS = (
    *("BatchMode=yes", "ConnectTimeout=10", "ServerAliveInterval=5", "ServerAliveCountMax=3"),
    *("ClearAllForwardings=yes", "RemoteCommand=none", "LogLevel=INFO"),
)
# not even of a program that the user's configuration connects by
_ENVIRONMENT = {"SSH_ASKPASS_REQUIRE": "never"}


def open_ssh(address: BoardAddress, seconds: float) -> ShellLink:
    """Connect to a board; a file may take ``seconds`` to get there. Raises BoardError."""
    with ExitStack() as ends:
        folder = ends.enter_context(scratch_folder())
        if not _SOCKET_PATH.fullmatch(f"{folder}/{_SOCKET}"):
            folder = ends.enter_context(scratch_folder(_SHORT))
        return ShellLink(_shell(address, f"{folder}/{_SOCKET}"), seconds, ends.pop_all())


def _shell(address: BoardAddress, socket: str) -> Shell:
    """Return how to reach the shell there, by one connection that all share.

    The first program makes it and the others use it; were it gone, they would make one of their
    own, so they are given a way to connect that fails.
    """
    host = str(address.host)
    target = f"{address.user}@{host}" if address.user else host
    port = ["-p", str(address.port)] if address.port else []
    first = ["ssh", "-Tax", *_options(*_OPTIONS), "-S", socket]
    first += [*_options("ControlMaster=yes", "ControlPersist=no"), *port, "--", target]
    further = ["ssh", "-T", "-F", "none", *_options("BatchMode=yes", "LogLevel=ERROR")]
    further += ["-S", socket, *_options("ControlMaster=no", "ProxyCommand=false"), "--", host]
    return Shell(
        address.text,
        first,
        further,
        _ENVIRONMENT,
        CONNECTION_FAULTS,
        missing=NO_SSH,
        silent=NO_ANSWER,
        refusing=NO_SHELL,
        lost=LOST,
        later=(SESSION_REFUSED,),
        fields={"target": " ".join([*port, target]), "known": _known_as(host, address.port)},
    )


def _options(*settings: str) -> list[str]:
    return [word for setting in settings for word in ("-o", setting)]


def _known_as(host: str, port: int | None) -> str:
    """Return the name that known_hosts has, as ssh-keygen takes it in a shell."""
    return host if port in (None, 22) else f"'[{host}]:{port}'"
