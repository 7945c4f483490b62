"""The names of the metrics, read from the sources of their modules: no numpy is imported."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

_TABLE = re.compile(r"^METRICS\b", re.MULTILINE)


@cache
def metric_modules() -> Mapping[str, str]:
    """Return name -> module of this package, of every entry of the modules' METRICS tables.

    >>> metric_modules()["topK"]
    'classification'
    """
    sources = sorted(files(__package__).iterdir(), key=lambda source: source.name)
    return {
        name: source.name.removesuffix(".py")
        for source in sources
        if source.name.endswith(".py")
        for name in _names_in(source.read_text(encoding="utf-8"))
    }


def _names_in(source: str) -> list[str]:
    """Return the keys of the table at the end of a module; none where it has no table."""
    begin = _TABLE.search(source)
    if begin is None:
        return []
    table = ast.parse(source[begin.start() :]).body[0]
    assert isinstance(table, ast.AnnAssign) and isinstance(table.value, ast.Dict)
    return [ast.literal_eval(key) for key in table.value.keys if key is not None]
