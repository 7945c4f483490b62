"""The templates of generated programs: files of this package, with ``$names`` to be filled in."""

from __future__ import annotations

from importlib.resources import files
from string import Template


def filled(template: str, **values: object) -> str:
    """Return a template by its name without ``.in``, filled, without a line break at its end.

    Every name in it must be given.
    """
    file = files(__package__) / "templates" / f"{template}.in"
    return Template(file.read_text(encoding="utf-8")).substitute(values).rstrip("\n")
