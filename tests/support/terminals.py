"""What is written to a terminal."""

from __future__ import annotations

import os


def read_all(terminal: int) -> bytes:
    """Return all that is written to the other side until that is closed, and close this one."""
    content = b""
    try:
        while chunk := os.read(terminal, 1 << 16):
            content += chunk
    except OSError:  # how a terminal says that the other side is closed
        pass
    finally:
        os.close(terminal)
    return content
