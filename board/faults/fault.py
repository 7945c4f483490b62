"""What a way to fail is, and how it is known by what others print."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from ...core.errors import BoardError

_SHOWN = 160  # characters of a line of somebody else's
_AT_ITS_BEGIN = 60  # of these; the rest are its end, where the reason follows a path
_STAMP = re.compile(r"[A-Z] RKNN\s*: (\[[\d:.]+\] )?")  # before what the runtime prints


@dataclass(frozen=True)
class Fault:
    """A way to fail.

    ``text`` and ``hint`` may hold ``{board}``, its address, ``{line}``, the line of others that
    tells it, and the groups of ``pattern``, a regular expression for such a line.
    """

    name: str
    text: str
    hint: str
    pattern: str = ""

    def error(self, board: str, output: str = "", *, log: str = "", **values: str) -> BoardError:
        """Return the error of this fault; ``output`` and ``log`` are what programs printed.

        The telling line is looked for in ``output``; ``log`` is for the log file.
        """
        line = telling_line(self.pattern, output)
        match = re.search(self.pattern, line, re.IGNORECASE) if self.pattern else None
        fields = {**(match.groupdict() if match else {}), "board": board, "line": _short(line)}
        text, hint = (_filled(words, {**fields, **values}) for words in (self.text, self.hint))
        return BoardError(text, hint, fault=self.name, log=log)


def fault_in(output: str, faults: Iterable[Fault]) -> Fault | None:
    """Return the first of the faults whose pattern stands in what was printed."""
    patterned = (fault for fault in faults if fault.pattern)
    return next((fault for fault in patterned if re.search(fault.pattern, output, re.I)), None)


def telling_line(pattern: str, output: str) -> str:
    """Return the line that the pattern stands in, else the last that is not empty.

    >>> telling_line("disk", "the disk is full\\ngoodbye"), telling_line("", "a\\nb\\n")
    ('the disk is full', 'b')
    >>> telling_line("", "E RKNN: [01:19:04.510] Invalid RKNN format")
    'Invalid RKNN format'
    """
    stripped = (_STAMP.sub("", line.strip(), count=1) for line in output.splitlines())
    lines = [line for line in stripped if line]
    matching = (line for line in lines if pattern and re.search(pattern, line, re.IGNORECASE))
    return next(matching, lines[-1] if lines else "it said nothing")


def _filled(words: str, fields: dict[str, str]) -> str:
    """Put values into braces; format() would read what stands in a value of a board's."""
    return re.sub(r"\{(\w+)\}", lambda match: fields.get(match[1]) or match[0], words)


def _short(line: str) -> str:
    """Return the line, cut in its middle where it is long."""
    if len(line) <= _SHOWN:
        return line
    return f"{line[:_AT_ITS_BEGIN]}...{line[_AT_ITS_BEGIN + 3 - _SHOWN :]}"
