"""HTML and SVG elements as text: what is not an element is escaped, so nothing can be forgotten."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from html import escape
from typing import TypeAlias

from ..text.escape import xml_visible

_VOID = {"meta", "img", "wbr"}


class Markup(str):
    """Text that is markup already; only ``tag`` and constants make it."""

    __slots__ = ()


# None is left out, a number is written shortly.
Child: TypeAlias = "str | int | float | Iterable[Child] | None"
Value: TypeAlias = "str | int | float | None"


def tag(element: str, /, *children: Child, **attributes: Value) -> Markup:
    """Return an element.

    An attribute's name ends in _ where Python has the word, and has _ for a dash.

    >>> tag("p", "a < b ", tag("b", 1.5), class_="x", aria_label='"')
    '<p class="x" aria-label="&quot;">a &lt; b <b>1.5</b></p>'
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(short_text(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if element in _VOID:
        return Markup(f"<{element}{written}>")
    return Markup(f"<{element}{written}>{joined(children)}</{element}>")


def joined(children: Child) -> Markup:
    """Return markup as it is, everything else escaped."""
    if children is None:
        return Markup()
    if isinstance(children, Markup):
        return children
    if isinstance(children, (str, int, float)):
        return Markup(escape(short_text(children)))
    return Markup("".join(joined(child) for child in children))


def inert_json(value: object, **attributes: Value) -> Markup:
    """Return data for a script, in ASCII, which is no script itself and cannot end before its end.

    >>> print(inert_json(["</script>"]))
    <script type="application/json">["\\u003c/script>"]</script>
    """
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return tag(
        "script", Markup(text.replace("<", "\\u003c")), type="application/json", **attributes
    )


def path_code(name: str) -> Markup:
    """Return a name as code, which a narrow window breaks where its parts end.

    >>> path_code("/head/conv.0")
    '<code>/<wbr>head/<wbr>conv.<wbr>0</code>'
    """
    parts = re.split(r"(?<=[/._:])(?=.)", name)
    return tag("code", [[part, tag("wbr")] for part in parts[:-1]], parts[-1])


def short_text(value: object) -> str:
    """Return a value as text, not escaped yet; a number is written shortly."""
    return f"{value:.6g}" if isinstance(value, float) else xml_visible(str(value))
