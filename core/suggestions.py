"""What somebody may have meant by a word that is none of those that an option takes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches

_NUMBER = re.compile(r"([+-]?\d+(?:[.,]\d+)?(?:e[+-]?\d+)?) *(%?)", re.IGNORECASE)
_PLAIN_NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?")
_LONGEST = 80  # of a text that numbers are looked for in
_SEPARATORS = re.compile(r"[\s_.-]+")
_BETWEEN = re.compile(r"[\s,;*x×]+", re.IGNORECASE)


def meant_word(
    text: str, words: Iterable[str], other_names: Mapping[str, str] | None = None
) -> str:
    """Return the word that a text stands for, "" where that is not clear.

    It may be spelled in another way, have another name, or be written almost like it.

    >>> meant_word("Top-1", ["top1", "map"]), meant_word("int8", ["w8a8"], {"int8": "w8a8"})
    ('top1', 'w8a8')
    """
    words = list(words)
    plain = {_plain(word): word for word in words}
    others = {_plain(name): word for name, word in (other_names or {}).items()}
    for names in (plain, others):
        if _plain(text) in names:
            return names[_plain(text)]
    near = get_close_matches(text.lower(), words, n=1)
    near += [others[name] for name in get_close_matches(_plain(text), others, n=1, cutoff=0.8)]
    return near[0] if near else ""


def meant_number(text: str) -> float | None:
    """Return a number with a decimal comma, and a per cent as a part of one.

    >>> meant_number("98%"), meant_number("0,98"), meant_number("fast")
    (0.98, 0.98, None)
    """
    match = _NUMBER.fullmatch(text.strip())
    if match is None:
        return None
    number = float(match[1].replace(",", "."))
    return number / 100 if match[2] else number


def meant_numbers(text: str) -> list[str]:
    """Return the numbers of a text in which other signs than commas are between them.

    >>> meant_numbers("[123.675, 116.28, 103.53]"), meant_numbers("224*224"), meant_numbers("a")
    (['123.675', '116.28', '103.53'], ['224', '224'], [])
    """
    if len(text) > _LONGEST:
        return []
    parts = _BETWEEN.split(text.strip().strip("[]()").strip())
    return parts if all(_PLAIN_NUMBER.fullmatch(part) for part in parts) else []


def _plain(text: str) -> str:
    return _SEPARATORS.sub("", text.lower())
