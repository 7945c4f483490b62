"""The families of models, one file each, named as the file is: how one is recognised, what it sets.

A new family is one new file here. It defines ``FAMILY``.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..recognition.family import Family

AUTO, OFF = "auto", "off"


@cache
def family_names() -> tuple[str, ...]:
    """Return auto, off and the names of the families; none of their files is imported."""
    names = (module.name.replace("_", "-") for module in iter_modules(__path__))
    return (AUTO, OFF, *sorted(names))


def find_family(name: str) -> Family:
    """Return the family of a name among ``family_names``, but for auto and off."""
    family: Family = import_module(f".{name.replace('-', '_')}", __name__).FAMILY
    return family
