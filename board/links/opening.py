"""The link that an address means."""

from __future__ import annotations

from ...core.diagnostics import option
from ...core.errors import OptionError
from .adb import open_adb
from .address import ADDRESS, BoardAddress, read_address
from .link import Link
from .local import LocalLink
from .ssh import open_ssh


def open_link(text: str, timeout: float) -> Link:
    """Open the way to a board. Raises OptionError for no address, BoardError where none answers.

    ``timeout`` is how many seconds a step may take.
    """
    try:
        address = read_address(text)
    except ValueError as error:
        raise OptionError(f"{option('board')}: {error}", f"give it as {ADDRESS}") from error
    return _open(address, timeout)


def _open(address: BoardAddress, timeout: float) -> Link:
    if address.kind == "ssh":
        return open_ssh(address, timeout)
    return open_adb(address, timeout) if address.kind == "adb" else LocalLink()
