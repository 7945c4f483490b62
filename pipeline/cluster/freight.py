"""All files that the trials of a recipe read, in bundles, and which paths of a recipe are there."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...core.graphs.model import model_files
from ...core.measured_kinds import measured_time
from ..options.option_table import options_of
from ..recipes.recipe import VERB, Recipe
from .bundle import Bundle, bundle_of, path_in_bundle
from .sample_files import samples_bundle

# a program of each machine's own, and what is read by the search alone
_STAYING = ("toolkit_python", "baseline")


@dataclass(frozen=True)
class Freight:
    """Bundles, and by the paths in a trial's recipe the digests of those that hold them."""

    bundles: tuple[Bundle, ...]
    places: Mapping[str, str]


def freight_of(recipe: Recipe, measured: Sequence[Path] = ()) -> Freight:
    """Return the files of a recipe, and those that ``measured`` times are read from.

    Raises RockpressError for what cannot be read.
    """
    bundles: dict[str, Bundle] = {}
    places: dict[str, str] = {}
    for paths, bundle in _bundles(recipe, measured):
        digest = bundle.contents.digest
        bundles[digest] = bundle
        places |= {str(path.absolute()): digest for path in paths}
    return Freight(tuple(bundles.values()), places)


def _bundles(recipe: Recipe, measured: Sequence[Path]) -> Iterator[tuple[Sequence[Path], Bundle]]:
    yield [recipe.model], bundle_of(dict.fromkeys(model_files(recipe.model)))
    for samples in {recipe.samples.calib, recipe.samples.eval} - {None}:
        assert samples is not None
        yield [samples], samples_bundle(samples)
    others = list(dict.fromkeys([*_named_files(recipe), *measured]))
    if others:
        words = [Path(measured_time(word)[0]) for word in recipe.latency.measured]
        yield [*others, *words], bundle_of(dict.fromkeys(others))


def _named_files(recipe: Recipe) -> Iterator[Path]:
    """Yield the files that options name, in tables too, but for model and samples."""
    for group in (recipe.metric, recipe.quantize, recipe.prune, recipe.distil, recipe.toolkit):
        for described in options_of(VERB):
            if described.name in _STAYING or not hasattr(group, described.name):
                continue
            value = getattr(group, described.name)
            settings = value.values() if isinstance(value, Mapping) else [value]
            yield from (Path(each) for each in settings if _is_file(each))


def _is_file(value: Any) -> bool:
    return isinstance(value, (str, Path)) and os.path.isfile(value)


def moved(document: Any, places: Mapping[str, Path]) -> Any:
    """Return a recipe's tables with the paths that travelled, each in the folder given for it."""
    if isinstance(document, Mapping):
        return {name: moved(value, places) for name, value in document.items()}
    if isinstance(document, list):
        return [moved(value, places) for value in document]
    if not isinstance(document, str):
        return document
    path, mark, ms = (document, "", "") if document in places else document.rpartition("=")
    return f"{places[path] / path_in_bundle(Path(path))}{mark}{ms}" if path in places else document


def brought_back(text: str, folders: Sequence[Path]) -> str:
    """Return a JSON text with the paths as they are where the bundles came from."""
    for folder in folders:
        text = text.replace(json.dumps(str(folder))[1:-1], "")
    return text
