"""The files that a run depends on, as rules for Make: gcc's way with -MD and -MP."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from ..calibration_data.sources.open_source import open_source
from ..core.diagnostics import Diagnostic
from ..core.errors import RockpressError
from ..core.graphs.model import model_files
from .measured_files import measured_files
from .recipes.recipe import Recipe

# What GNU make reads as the characters themselves, found by trial with 4.3: nothing quotes an
# equals sign, which would make an assignment of the line, but a variable may hold one. A semicolon
# is looked for twice, and a bar means something only among what is needed.
_QUOTED = {
    **{character: f"\\{character}" for character in " #:*?[|"},
    "$": "$$",
    "=": "$(rockpress-equals)",
    ";": "\\\\\\;",
}
_EQUALS = "rockpress-equals := =\n"
# Other blanks; a backslash, which quotes or does not by what follows; what means a home, a group of
# targets, or a member of an archive.
_UNFIT = re.compile(r"[\t\n\v\f\r\\]|^[ ~]|[ &]$|\(.*\)$")
_LABELS = ("labels", "masks")


def is_fit(path: Path) -> bool:
    """Return whether there is a way to write a name such that Make reads it."""
    return not _UNFIT.search(_spelled(path))


def rule(target: Path, needed: Iterable[Path]) -> str:
    r"""Return a rule that says what ``target`` is made from, and an empty one for each of these.

    The empty rules keep Make going when one of the files is removed: what needs it is made again.
    Files with a name that Make cannot read are left out, see ``name_warnings``.

    >>> print(rule(Path("build/report.json"), [Path("my model.onnx")]), end="")
    build/report.json: \
     my\ model.onnx
    my\ model.onnx:
    """
    fit = [path for path in dict.fromkeys(needed) if is_fit(path)]
    first = " \\\n ".join([f"{_as_target(target)}:", *map(_quoted, fit)])
    text = "\n".join([first, *(f"{_as_target(path)}:" for path in fit)]) + "\n"
    return _EQUALS + text if _QUOTED["="] in text else text


def name_warnings(needed: Iterable[Path]) -> tuple[Diagnostic, ...]:
    """Return a warning when some names cannot be written."""
    unfit = [path for path in dict.fromkeys(needed) if not is_fit(path)]
    if not unfit:
        return ()
    text = f"make cannot read the names of {len(unfit)} files, such as {str(unfit[0])!r}"
    hint = "rename them: as they are, a change in one does not make the next make run this again"
    return (Diagnostic("depfile-name", text, hint),)


def named_files(recipe: Recipe) -> list[Path]:
    """Return the files and folders that a recipe names."""
    named = [recipe.model, recipe.samples.calib, recipe.samples.eval, recipe.gates.baseline]
    settings = [Path(value) for value in recipe.metric.metric_option.values()]
    files = [*filter(Path.is_file, settings), *_measured(recipe)]
    return [*(path for path in named if path is not None), *files]


def _measured(recipe: Recipe) -> list[Path]:
    with suppress(RockpressError):
        return measured_files(recipe)
    return []


def needed_files(recipe: Recipe) -> list[Path]:
    """Return what a recipe names, with external data and all samples and their folders.

    Of what cannot be read there is the name alone.
    """
    files = []
    with suppress(RockpressError):
        files += model_files(recipe.model)
    for samples in (recipe.samples.calib, recipe.samples.eval):
        if samples is not None:
            with suppress(RockpressError):
                files += _files_of(samples)
    return [*dict.fromkeys([*files, *named_files(recipe)])]


def result_files(recipe: Recipe, output: Path) -> list[Path]:
    """Return what a run has made for the targets; of one that failed there is nothing."""
    name = f"{recipe.model.stem}.rknn"
    files = [output / target.strip().lower() / name for target in recipe.run.target]
    return [file for file in files if file.is_file()]


def _files_of(samples: Path) -> list[Path]:
    """Return samples and their folders, which are newer once something was put into them."""
    files: tuple[Path, ...] = getattr(open_source(samples), "paths", ())
    labels = [file for name in _LABELS for file in sorted((samples / name).rglob("*"))]
    table = samples / "labels.csv"
    labels += [table] if table.is_file() else []
    folders = {file.parent for file in files if samples in file.parents}
    return [samples, *sorted(folders), *files, *labels]


def _spelled(path: Path) -> str:
    """Return a name; a folder's such as "images (1)" gets what makes it no member of an archive."""
    name = str(path)
    return f"{name}/." if name.endswith(")") and path.is_dir() else name


def _quoted(path: Path) -> str:
    return "".join(_QUOTED.get(character, character) for character in _spelled(path))


def _as_target(path: Path) -> str:
    """Return a quoted name without the per cent sign that would make a pattern of a rule."""
    return _quoted(path).replace("%", "\\%").replace("\\|", "|")
