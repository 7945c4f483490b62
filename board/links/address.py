"""The address of a board: ssh://[user@]host[:port], adb://SERIAL or local."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

ADDRESS = "ssh://[user@]host[:port], adb://SERIAL or local"
# none may begin with a dash: the programs that they are given to would take it as an option
_SSH = re.compile(
    r"ssh://(?:(?P<user>[A-Za-z0-9_][\w.-]*)@)?"
    r"(?P<host>[A-Za-z0-9_][\w.-]*|\[[0-9A-Fa-f:.]+(?:%\w+)?\])(?::(?P<port>\d{1,5}))?/?"
)
_ADB = re.compile(r"adb://(?P<serial>[A-Za-z0-9_][\w.:-]*)?/?")


@dataclass(frozen=True)
class BoardAddress:
    """Where a board is. ``host`` is a name of the user's ssh configuration too; IPv6 is bare.

    ``serial`` is None for the one device that adb has.
    """

    text: str
    kind: Literal["ssh", "adb", "local"]
    host: str | None = None
    user: str | None = None
    port: int | None = None
    serial: str | None = None


def read_address(text: str) -> BoardAddress:
    """Return what an address means. Raises ValueError for a text that is none.

    >>> read_address("ssh://pi@orange.local:2222").port
    2222
    >>> read_address("ssh://-oProxyCommand=x")
    Traceback (most recent call last):
    ValueError: 'ssh://-oProxyCommand=x' is not ssh://[user@]host[:port], adb://SERIAL or local
    >>> read_address("pi@orange")
    Traceback (most recent call last):
    ValueError: 'pi@orange' is not ssh://[user@]host[:port], adb://SERIAL or local: ssh://pi@orange?
    """
    if text == "local":
        return BoardAddress(text, "local")
    if match := _SSH.fullmatch(text):
        port = int(match["port"]) if match["port"] else None
        if port is None or 0 < port < 1 << 16:
            host = match["host"].strip("[]")
            return BoardAddress(text, "ssh", host=host, user=match["user"], port=port)
    if match := _ADB.fullmatch(text):
        return BoardAddress(text, "adb", serial=match["serial"])
    guess = f": ssh://{text}?" if _SSH.fullmatch(f"ssh://{text}") else ""
    raise ValueError(f"{text!r} is not {ADDRESS}{guess}")
