"""Inputs that take any number of samples: what is made for a chip takes one, which is told."""

from __future__ import annotations

from contextlib import suppress

from ..core.diagnostics import option, render
from ..core.errors import ModelError
from ..core.graphs.model import parse_model
from ..core.passes.prepare import input_shapes_of
from ..core.progress import Progress
from ..core.types import Shape
from ..report.text.escape import visible
from .recipes.recipe import Recipe

_WRITING = ("run", "prune", "quantize", "convert", "tune")  # others leave the model as it is
_OTHER_BATCH = 4


def note_free_batches(recipe: Recipe, verb: str, progress: Progress) -> None:
    """Tell which inputs of the recipe's model get a batch of 1, because nobody gave another."""
    if verb not in _WRITING:
        return
    with suppress(ModelError):  # whoever loads it says more
        fixed = recipe.shape.largest.keys() | recipe.shape.constant.keys()
        free = {
            name: shape
            for name, shape in input_shapes_of(parse_model(recipe.model)).items()
            if shape[:1] == (None,) and name not in fixed
        }
        if free:
            progress.note(render(_text(free)))


def _text(free: dict[str, tuple[int | None, ...]]) -> str:
    whole: dict[str, Shape] = {
        name: (_OTHER_BATCH, *(size for size in shape[1:] if size is not None))
        for name, shape in free.items()
        if None not in shape[1:]
    }
    # an example of an input whose other sizes are known; each has to be given, so of one alone
    example = {name: list(shape) for name, shape in whole.items()} if len(free) == 1 else None
    names = ", ".join(repr(visible(name)) for name in free)
    inputs = "input" if len(free) == 1 else "inputs"
    return (
        f"the batch of {inputs} {names} is free in the model, and is fixed to 1; "
        f"{option('input', example or None)} sets another"
    )
