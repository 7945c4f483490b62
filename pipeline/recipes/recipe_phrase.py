"""How a recipe says options: as its keys, with values as TOML writes them."""

from __future__ import annotations

import json
import re
from typing import Any

from ...core.diagnostics import render, speaking
from ..options.option_table import options_of

VERB = "run"
_BARE = re.compile(r"[A-Za-z0-9_-]+")


def recipe_phrase(name: str, value: Any) -> str:
    """Say an option as a line of a recipe, or as its key alone.

    >>> recipe_phrase("calib", None), recipe_phrase("mixed", "cycles=+8%")
    ('calib', 'mixed = "cycles=+8%"')
    >>> recipe_phrase("input", {"x": [1, 3, 48, 320]})
    'input.x = [1, 3, 48, 320]'
    """
    if isinstance(value, dict):
        ((key, inner),) = value.items()
        return recipe_phrase(f"{name}.{key if _BARE.fullmatch(key) else json.dumps(key)}", inner)
    return name if value is None else f"{name} = {json.dumps(value, ensure_ascii=False)}"


def key_meanings() -> dict[str, str]:
    """Return what each key of a recipe that is an option of ``run`` means."""
    with speaking(recipe_phrase):
        return {described.flag: render(described.help_for(VERB)) for described in options_of(VERB)}
