"""Whether a ``.rknn`` is whole: the toolkit does not notice when the disk is full.

The layout was read off files of version 2.5.0 for all chips: a header of 64 bytes (``RKNN``, then
as 64-bit numbers the format at byte 8 and the size of the model at byte 16), the model, the length
of a JSON text in 8 bytes, and that text at the end.
"""

from __future__ import annotations

import struct
from pathlib import Path

_HEADER = 64
_MAGIC = b"RKNN"
_FORMATS = (6, 0x1004)  # the latter for the RV11 series and rk2118


def is_cut_short(path: Path) -> bool:
    """True when the file ends before its own header says. A format that is not known is whole."""
    size = path.stat().st_size
    with path.open("rb") as file:
        header = file.read(24)
        if len(header) < 24 or header[:4] != _MAGIC:
            return len(header) < 24
        version, model = struct.unpack("<QQ", header[8:])
        if version not in _FORMATS:
            return False
        file.seek(min(size, _HEADER + model))
        length = file.read(8)
    return len(length) < 8 or size < _HEADER + model + 8 + struct.unpack("<Q", length)[0]
