"""What a model's classes are called: by its metadata, its metric, or the labels."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path

from onnx import ModelProto

from ...accuracy.metrics.text_recognition import read_charset
from ...calibration_data.sources.labels import Labels
from ...core.graphs.model import parse_model
from ..recipes.recipe import Recipe

_LONGEST = 1 << 20  # of a text that is read as a table


def class_names(recipe: Recipe, labels: Labels | None = None) -> tuple[str, ...]:
    """Return the names by the indices of the classes, () where nothing tells them.

    A recogniser's classes are its characters. Raises OptionError for a character set that cannot be
    read, and ModelError.
    """
    if charset := recipe.metric.metric_option.get("charset"):
        return tuple(read_charset(Path(charset)))
    names = names_in(parse_model(recipe.model))
    if names or labels is None or labels.kind != "class":
        return names
    return labels.names


def names_in(model: ModelProto) -> tuple[str, ...]:
    """Return the names that a model's metadata has for its classes, () where it has none."""
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    return _table_of(metadata.get("names", "")) or _lines_of(metadata.get("character", ""))


def _table_of(text: str) -> tuple[str, ...]:
    """Return the names of a table of indices, as Ultralytics writes it, or of a list.

    >>> _table_of("{0: 'cat', 1: 'dog'}"), _table_of("['cat']"), _table_of("cat")
    (('cat', 'dog'), ('cat',), ())
    """
    try:
        table = ast.literal_eval(text) if len(text) < _LONGEST else None
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return ()
    if isinstance(table, list | tuple):
        table = dict(enumerate(table))
    if not isinstance(table, Mapping) or list(table) != list(range(len(table))):
        return ()
    return tuple(str(name) for name in table.values())


def _lines_of(text: str) -> tuple[str, ...]:
    return tuple(text.removesuffix("\n").split("\n")) if text else ()
