"""What the process of a command and the one that waits for it know of each other's last words."""

from __future__ import annotations

import mmap

# whether the word was said, whether a signal came; then lines that could not be said
_shared: mmap.mmap | None = None
_SAID, _SIGNAL, _LINES, _ROOM = 0, 1, 2, 4096
# what to do after a signal: the process that is stopped may be killed before it says so
_hint: mmap.mmap | None = None


def share_word() -> None:
    """Let this process and those that it forks from now on say once how the command ended.

    A command that has said so may still take so long to leave that it has to be killed.
    """
    global _shared, _hint
    _shared = mmap.mmap(-1, _LINES + _ROOM)
    _hint = mmap.mmap(-1, _ROOM)


def is_shared() -> bool:
    """Return whether there is a process that waits for this one."""
    return _shared is not None


def note_said() -> None:
    """Let the others know that the word was said."""
    _note(_SAID)


def was_said() -> bool:
    """Return whether one of them has said the word."""
    return bool(_shared and _shared[_SAID])


def note_signal() -> None:
    """Let the processes that share the word know that a signal came to this one."""
    _note(_SIGNAL)


def signal_came() -> bool:
    """Return whether a signal came to one of them."""
    return bool(_shared and _shared[_SIGNAL])


def share_hint(text: str) -> None:
    """Let them know the hint to give when a signal stops the command, "" for none."""
    if _hint:
        _hint[:] = text.encode(errors="backslashreplace")[:_ROOM].ljust(_ROOM, b"\0")


def shared_hint() -> str:
    """Return that hint, "" where there is none."""
    return _hint[:].rstrip(b"\0").decode(errors="replace") if _hint else ""


def leave_unsaid(line: str) -> None:
    """Leave a line to the process that waits for this one, as far as there is room."""
    if _shared and (start := _shared.find(b"\0", _LINES)) > 0:
        content = f"{line}\n".encode(errors="backslashreplace")[: len(_shared) - start]
        _shared[start : start + len(content)] = content


def unsaid() -> list[str]:
    """Return the lines that were left so."""
    content = _shared[_LINES:].rstrip(b"\0") if _shared else b""
    return content.decode(errors="replace").splitlines()


def take_unsaid() -> list[str]:
    """Return them, and have none left."""
    lines = unsaid()
    if _shared:
        _shared[_LINES:] = bytes(_ROOM)
    return lines


def _note(place: int) -> None:
    if _shared:
        _shared[place] = 1
