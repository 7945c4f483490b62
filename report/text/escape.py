"""Names come from files that anybody may have made: show what a terminal would act on."""

from __future__ import annotations

import re

# C0 and C1 controls (escape sequences begin with one), marks that turn the direction of writing,
# line separators, and halves of surrogate pairs (bytes of a file name that are not UTF-8)
_ACTED_ON = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def visible(text: str) -> str:
    r"""Return the text in one line, with every control character as its escape.

    >>> print(visible("a\x1b[31mb\nc"))
    a\x1b[31mb\nc
    """
    return _ACTED_ON.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def xml_visible(text: str) -> str:
    r"""Return the text as ``visible`` does, without the two characters that XML cannot hold.

    >>> print(xml_visible("a\x00b\uffff"))
    a\x00b\uffff
    """
    return visible(text).replace("\ufffe", r"\ufffe").replace("\uffff", r"\uffff")


def json_visible(document: str) -> str:
    r"""Return a JSON document whose strings hold such characters as JSON's own escapes; lines stay.

    >>> print(json_visible('{"name": "a\x9bb"}'))
    {"name": "a\u009bb"}
    """
    return _ACTED_ON.sub(
        lambda match: match[0] if match[0] == "\n" else f"\\u{ord(match[0]):04x}", document
    )
