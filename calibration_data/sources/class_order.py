"""Class indices of labels in the order of a model's own classes, told by their names.

A COCO file counts its categories by their ids, and folders count in natural order; a model that was
trained on other files, or on more classes, counts in another way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from .boxes import Boxes
from .labels import Labels


def in_order_of(labels: Labels, names: Sequence[str]) -> Labels:
    """Return labels whose indices are those of a model with these names of its classes.

    The labels themselves where they have no names, count as the model does, or have a name that the
    model has not.

    >>> labels = Labels("class", np.array([0, 1, 1]), names=("dog", "cat"))
    >>> in_order_of(labels, ("bird", "cat", "dog")).classes().tolist()
    [2, 1, 1]
    """
    places = {name: index for index, name in enumerate(names)}
    if len(places) < len(names) or not set(labels.names) <= set(places):
        return labels
    table = np.array([places[name] for name in labels.names], np.int64)
    if (table == np.arange(len(table))).all():
        return labels
    if labels.kind == "class":
        values: Any = table[np.asarray(labels.values, np.int64)]
    else:
        values = tuple(_renumbered(value, table) for value in labels.values)
    return replace(labels, values=values, names=tuple(names), is_by_name=True)


def _renumbered(value: Any, table: np.ndarray[Any, np.dtype[np.int64]]) -> Any:
    return replace(value, classes=table[value.classes]) if isinstance(value, Boxes) else value
