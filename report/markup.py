"""HTML and SVG elements as text: what is not an element is escaped, so nothing can be forgotten."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import TypeAlias

from .visible import xml_visible

_VOID = {"meta", "img"}


class Markup(str):
    """Text that is markup already; only ``tag`` and constants make it."""

    __slots__ = ()


# None is left out, a number is written shortly.
Child: TypeAlias = "str | int | float | Iterable[Child] | None"
Value: TypeAlias = "str | int | float | None"


def tag(element: str, /, *children: Child, **attributes: Value) -> Markup:
    """An element. An attribute's name ends in _ where Python has the word, and has _ for a dash.

    >>> tag("p", "a < b ", tag("b", 1.5), class_="x", aria_label='"')
    '<p class="x" aria-label="&quot;">a &lt; b <b>1.5</b></p>'
    """
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_text(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if element in _VOID:
        return Markup(f"<{element}{given}>")
    return Markup(f"<{element}{given}>{joined(children)}</{element}>")


def joined(children: Child) -> Markup:
    """Markup as it is, everything else escaped."""
    if children is None:
        return Markup()
    if isinstance(children, Markup):
        return children
    if isinstance(children, (str, int, float)):
        return Markup(escape(_text(children)))
    return Markup("".join(joined(one) for one in children))


def _text(value: str | int | float) -> str:
    return f"{value:.6g}" if isinstance(value, float) else xml_visible(str(value))
