"""The formats of a report's file: each module of ``formats`` writes the files of one suffix.

A new format is a new module there, named as the suffix, with a ``render(report) -> str``.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..core.results.report import Report


def format_suffixes() -> tuple[str, ...]:
    """Return the suffixes that there is a format for, without importing any of them.

    >>> format_suffixes()
    ('.html', '.json', '.md', '.xml')
    """
    from pkgutil import iter_modules

    folder = Path(__file__).with_name("formats")
    return tuple(f".{module.name}" for module in iter_modules([str(folder)]))


def rendered(report: Report, suffix: str) -> str:
    """Return the text of a report file with this suffix, whatever its case.

    Raises ValueError for a suffix that has no format.
    """
    from importlib import import_module

    if suffix.lower() not in format_suffixes():
        raise ValueError(f"{suffix} is no format of a report")
    module = import_module(f"{__package__}.formats.{suffix.lower()[1:]}")
    text: str = module.render(report)
    return text
