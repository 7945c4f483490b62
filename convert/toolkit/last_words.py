"""What rknn-toolkit2 complained of at last, in a traceback or in its log."""

from __future__ import annotations

import re

_ANSI = re.compile(r"\x1b\[[\d;]*m")
_ERROR_LINE = re.compile(r"^E (?!RKNN: .*Unkown op target|rknn-toolkit2 version)(.+)$")
_NAMED_ERROR = re.compile(r"^(?:[\w.]+\.)?(\w*(?:Error|Exception|Graph|Fail)): (.*)$")
_BAR = re.compile(r"I \w+ :.*?(?:it/s|s/it)\]")


def complaint(text: str, log: str) -> str:
    """Return in one line what it complains about: the last named error, or its last E line."""
    named = [match for match in map(_NAMED_ERROR.match, text.splitlines()) if match]
    # the toolkit raises ValueError("Traceback ..."): the useful one is the innermost, printed last
    useful = [match for match in named if not match[2].startswith("Traceback")]
    if useful and useful[-1][1] != "Refused":
        kind, message = useful[-1][1], useful[-1][2] or _line_behind(useful[-1], text)
        message = re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ", "", message)
        return message if kind == "ValueError" else f"{kind}: {message}"
    if "returned" in text:
        code = text.strip().splitlines()[-1].partition("Refused: ")[2]
        return last_error_line(log) or code
    return ""


def _line_behind(error: re.Match[str], text: str) -> str:
    """The first line of a message that begins on the line after the error's name."""
    lines = text.split(error.string)[-1].splitlines()
    return next((line.strip() for line in lines if line.strip()), "")


def last_words(log: str) -> str:
    """Return what native code wrote at last, behind a progress bar or on a line of its own."""
    lines = [line.strip() for line in _BAR.sub("", _ANSI.sub("", log)).splitlines()]
    last = next((line for line in reversed(lines) if line), "")
    return "" if re.match(r"[IWDE] ", last) else last


def last_error_line(log: str) -> str:
    """Return the last useful line that the toolkit calls an error, or ""."""
    matches = [_ERROR_LINE.match(line) for line in _ANSI.sub("", log).splitlines()]
    lines = [match[1].strip() for match in matches if match]
    useful = [line for line in lines if "Traceback" not in line]
    return useful[-1] if useful else ""
