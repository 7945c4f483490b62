"""What tells a search from others, part by part: all that decides what its trials give."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..core.version import rockpress_version
from .options.check_options import Gates
from .options.option_table import GROUPS
from .recipes.recipe import Recipe
from .run_key import RunKey
from .search.space import Space

_LENGTH = 16


def search_parts(recipe: Recipe, version: str, space: Space, goal: str) -> dict[str, str]:
    """Return the digest of each part, by the name of its option or as "the model".

    ``version`` is the toolkit's. Files count by what is in them, wherever they are. What the points
    are held against counts for nothing. Raises RockpressError when something cannot be read.
    """
    run = RunKey(replace(recipe, cache=None, gates=Gates()), version, with_names=False)
    key = run.key()
    options: dict[str, list[Any]] = {}
    for group in (name for name in GROUPS if isinstance(key.get(name), Mapping)):
        for name, value in key[group].items():
            options.setdefault(name.replace("_", "-"), []).append(_without_paths(value))
    calib, evaluation = key["digests"]
    parts = {
        "the model": key["model"],
        **options,
        **{"calib": calib, "eval": evaluation, "measured": [options["measured"], key["measured"]]},
        **{name: key[name] for name in ("toolkit-config", "toolkit-level")},
        "the values to choose from": [[knob.name, *knob.values] for knob in space.knobs],
        "for": goal,
        "the toolkit": key["toolkit"],
        "the version of rockpress": rockpress_version(),
    }
    return {name: _digest(value) for name, value in parts.items()}


def whole_digest(parts: Mapping[str, str]) -> str:
    """Return the digest of all parts."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _without_paths(value: Any) -> Any:
    """Return a value of a key; of a file that a table names its digest alone."""
    if isinstance(value, Mapping):
        return {name: digest or plain for name, (plain, digest) in value.items()}
    return value


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:_LENGTH]
