"""Where a command writes besides its folder: never over what it reads, nor two things in one file.

It is looked at before anything runs, and before a dry run too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.errors import OptionError
from ..core.files import real_path

if TYPE_CHECKING:
    from ..pipeline.recipes.recipe import Recipe
    from ..pipeline.recipes.recipe_file import ModelJob

Files = Sequence[Path]
Written = tuple[str, Path]  # by which option, and where
_ELSEWHERE = "give it a name of its own"


def require_reports(reports: Files | None, recipe: Recipe, more: Files = ()) -> None:
    """Raise now, before minutes are spent, if a report could not be written.

    OptionError when it would replace what is read for ``recipe``, or one of ``more``; else
    OutputError.
    """
    _require_free([("--report", file) for file in reports or ()], [recipe], more)


def require_places(
    jobs: Sequence[ModelJob], recipe_file: Path, reports: Files, depfile: Path | None
) -> None:
    """Raise as ``require_reports`` for a run: its report, those of ``--report``, the depfile."""
    from ..pipeline.run import REPORT_FILE

    own = [job.output / REPORT_FILE for job in jobs]
    written = [("-o", file) for file in dict.fromkeys([*own, whole_report(jobs)])]
    written += [("--report", file) for job in jobs for file in reports_of(job, reports)]
    if jobs[0].name:
        written += [("--report", file) for file in pages_of_all(reports)]
    if depfile:
        _require_alone(depfile, [file for _, file in written], jobs)
        written.append(("--depfile", depfile))
    _require_free(written, [job.recipe for job in jobs], [recipe_file])


def whole_report(jobs: Sequence[ModelJob]) -> Path:
    """Return the path of the report of the one model, or of that of all."""
    from ..pipeline.run import REPORT_FILE

    folder = jobs[0].output
    return (folder.parent if jobs[0].name else folder) / REPORT_FILE


def reports_of(job: ModelJob, reports: Iterable[Path]) -> list[Path]:
    """Return the files of ``--report``, with the model's name where there are several."""
    return [file.with_stem(f"{file.stem}-{job.name}") if job.name else file for file in reports]


def pages_of_all(reports: Iterable[Path]) -> list[Path]:
    """Return those files of ``--report`` in which a run of several models has all side by side.

    As JSON that is the report of all, beside the folders of the models.
    """
    return [file for file in reports if file.suffix.lower() in (".html", ".md")]


def _require_alone(depfile: Path, reports: Iterable[Path], jobs: Iterable[ModelJob]) -> None:
    """Raise OptionError when a report or a result comes where the depfile would."""
    path = _resolved(depfile)
    if path in map(_resolved, reports):
        raise OptionError(f"--depfile {depfile}: a report is written there", _ELSEWHERE)
    for job in jobs:
        folders = [job.output / target.strip().lower() for target in job.recipe.run.target]
        among = path.parent in [real_path(folder) for folder in folders]
        if among and path.name.startswith(f"{job.recipe.model.stem}."):
            raise OptionError(f"--depfile {depfile}: results are written there", _ELSEWHERE)


def _require_free(written: Sequence[Written], recipes: Sequence[Recipe], more: Files) -> None:
    """Raise OptionError for a file that the recipes or the command read, else OutputError."""
    from ..core.files import require_file

    for option, file in written:
        if not file.is_file():
            continue
        read = [*more, *(path for recipe in recipes for path in _read_for(recipe, option))]
        if any(path.is_file() and path.samefile(file) for path in read):
            raise OptionError(f"{option} {file} would replace what is read", _ELSEWHERE)
    for _, file in written:
        require_file(file)


def _read_for(recipe: Recipe, option: str) -> list[Path]:
    """Return what a recipe reads; whether an old report may be where -o is, the run says itself."""
    from ..pipeline.depfile import needed_files

    return needed_files(recipe.with_options(baseline=None) if option == "-o" else recipe)


def _resolved(file: Path) -> Path:
    return real_path(file.parent) / file.name
