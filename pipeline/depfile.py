"""The files that a run depends on, as rules for Make: gcc's way with -MD and -MP."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from ..calibration_data.sources import open_source
from ..core.model import model_files
from .recipe import Recipe
from .run import REPORT_FILE

_SPECIAL = {" ": "\\ ", "#": "\\#", "$": "$$", ":": "\\:", "*": "\\*", "?": "\\?", "[": "\\["}
_UNFIT = set(";=\n")  # there is no way to write them


def rule(target: Path, needed: Iterable[Path]) -> str:
    r"""A rule that says what ``target`` is made from, and an empty one for each of these.

    The empty rules keep Make going when one of the files is removed: what needs it is made again.
    Files with a name that Make cannot read (; or = or a new line in it) are left out.

    >>> print(rule(Path("build/report.json"), [Path("my model.onnx")]), end="")
    build/report.json: \
     my\ model.onnx
    my\ model.onnx:
    """
    fit = (path for path in dict.fromkeys(needed) if _UNFIT.isdisjoint(str(path)))
    names = [_escaped(path) for path in fit]
    first = " \\\n ".join([f"{_as_target(_escaped(target))}:", *names])
    return "\n".join([first, *(f"{_as_target(name)}:" for name in names)]) + "\n"


def named_files(recipe: Recipe) -> list[Path]:
    """The files and folders that a recipe names."""
    named = [recipe.model, recipe.calib, recipe.eval, recipe.last_report]
    options = [Path(value) for value in recipe.metric_options.values()]
    return [path for path in named if path is not None] + [one for one in options if one.is_file()]


def needed_files(recipe: Recipe) -> list[Path]:
    """What a recipe names, with external data and all samples and their folders."""
    samples = [path for path in (recipe.calib, recipe.eval) if path is not None]
    found = [file for path in samples for file in _files_of(path)]
    return [*dict.fromkeys([*model_files(recipe.model), *found, *named_files(recipe)])]


def depfile(recipe: Recipe, folder: Path, more: Sequence[Path] = ()) -> str:
    """The rule for the report of a run in ``folder``; ``more`` is what it depends on besides."""
    return rule(folder / REPORT_FILE, [*more, *needed_files(recipe)])


def _files_of(samples: Path) -> list[Path]:
    """A folder is newer once something was put into it or taken out."""
    files: tuple[Path, ...] = getattr(open_source(samples), "paths", ())
    folders = {file.parent for file in files if samples in file.parents}
    return [samples, *sorted(folders), *files]


def _escaped(path: Path) -> str:
    return "".join(_SPECIAL.get(character, character) for character in str(path))


def _as_target(name: str) -> str:
    """A per cent sign would make a rule of it for many files."""
    return name.replace("%", "\\%")
