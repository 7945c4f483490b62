"""The formats of a report's file: each module here writes the files of the suffix it is named as.

A new format is a new module with a ``render(report) -> str``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...core.results.report import Report


def format_suffixes() -> tuple[str, ...]:
    """Return the suffixes of the files that a report can be written to; no format is imported.

    >>> {".html", ".json", ".md", ".xml"} <= set(format_suffixes())
    True
    """
    from pkgutil import iter_modules

    return tuple(f".{module.name}" for module in iter_modules(__path__))


def rendered(report: Report, suffix: str) -> str:
    """Return the text of a report file with this suffix, whatever its case.

    Raises ValueError for a suffix that has no format.
    """
    from importlib import import_module

    if suffix.lower() not in format_suffixes():
        raise ValueError(f"{suffix} is no format of a report")
    text: str = import_module(f"{__name__}{suffix.lower()}").render(report)
    return text
