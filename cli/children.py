"""The processes below this one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil


def processes_below() -> list[psutil.Process]:
    """Return them, the children of children too; none where there is no /proc to find them in."""
    import psutil

    try:
        below: list[psutil.Process] = psutil.Process().children(recursive=True)
    except psutil.Error:
        return []
    return below
