"""The whole chain: prune, quantize, convert and check, for every target of a recipe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ..convert.chips.targets import Target
from ..core.files import require_file, staging, write_text
from ..core.progress import SILENT, Progress
from ..core.results.report import Report, StageRun
from ..report.documents.document import to_json
from .caching.cached_tasks import TaskCache
from .caching.stage_cache import watch_hits
from .family_cut import report_with_family_cut
from .figures.last_release import (
    LastRelease,
    open_last_release,
    require_comparable,
    require_kept,
)
from .filled_recipe import fill_recipe
from .held_notes import HeldNotes
from .left_reports import left_file, left_reports
from .output_files import archive_stale, require_names
from .readable_report import rendered
from .recipes.recipe import Recipe
from .requirements import require_possible
from .run_key import RunKey
from .tasks.installed_toolkit import require_toolkit
from .tasks.superseded import superseded_files

REPORT_FILE = "report.json"


def run(recipe: Recipe, output: Path, progress: Progress = SILENT, *, verb: str = "run") -> Report:
    """Run a recipe and write everything to ``output``: a folder a target, and report.json.

    What cannot work is found before minutes are spent. Files appear in ``output`` only when all
    targets are finished; a gate that fails is a result, so the files and the report are there.
    When one of several targets fails, the report says so and the others' files are there; files
    of an earlier run for it are moved to ``<target>.old``. What the report there says of other
    results that stay is kept beside it. Raises RockpressError when nothing worked, AllFailed among
    them: nothing is left behind then.

    With ``recipe.cache``, stages whose inputs, options and code have not changed are not run
    again; of an unchanged recipe nothing is, but for what is measured on ``recipe.board``.

    What nobody gave is taken from the family of the model; the report says what. It tells its
    warnings and errors, and what next with the options of the command ``verb``, in the words of
    whoever runs it; see diagnostics.py.
    """
    notes = HeldNotes(progress)
    filled = fill_recipe(recipe, "run", notes)
    recipe = filled.recipe
    on_board = recipe.board.board is not None
    with notes.told_after(filled.taken_names):
        targets, last, version = preflight(recipe, output)
        if on_board:
            from .tasks.board_run import require_board

            require_board(recipe, targets[0])
    with staging(output) as folder, watch_hits() as lookups:
        report = whole_run(
            recipe,
            version,
            lambda work: _computed(recipe, targets, version, last, work, progress),
            folder,
        )
        if lookups.all_were_hits and not on_board:
            progress.cached("all of it")
            report = _as_cached(report)
        # the cache has it as it is, and for every way to come to the same options
        report = report_with_family_cut(report, filled.family)
        report = replace(rendered(report, verb), family=filled.family)
        write_text(folder / REPORT_FILE, to_json(report))
        names, stem = [target.name for target in targets], recipe.model.stem
        for file_name, left in left_reports(output / REPORT_FILE, stem, names):
            write_text(folder / file_name, to_json(left))
            progress.note(f"{output / file_name} has what {REPORT_FILE} said of an earlier result")
        old = [
            file
            for target in targets
            if target.name not in report.failures
            for file in superseded_files(
                output / target.name / f"{stem}.rknn", folder / target.name
            )
        ]
        old += [output / left_file(stem, name) for name in names]
    for file in old:
        file.unlink(missing_ok=True)
    for name in report.failures:
        archive_stale(output / name, stem)
    return report


def preflight(recipe: Recipe, output: Path) -> tuple[list[Target], LastRelease | None, str]:
    """Return the targets, the last release and the toolkit's version; open no model yet.

    Raises RockpressError for what would be found only after minutes.
    """
    targets = require_possible(recipe)
    require_kept(recipe, output / REPORT_FILE)
    last = open_last_release(recipe)
    require_comparable(last, recipe, [target.name for target in targets])
    require_names(output, recipe.model.stem)
    version = require_toolkit(recipe.toolkit.toolkit_python)
    for file in [REPORT_FILE, *(f"{target.name}/{recipe.model.stem}.rknn" for target in targets)]:
        require_file(output / file)
    return targets, last, version


def _computed(
    recipe: Recipe,
    targets: list[Target],
    version: str,
    last: LastRelease | None,
    folder: Path,
    progress: Progress,
) -> Report:
    from .computed_run import compute_run  # an unchanged run need not import what it takes

    return compute_run(recipe, targets, version, last, folder, progress)


def whole_run(
    recipe: Recipe, version: str, compute: Callable[[Path], Report], folder: Path
) -> Report:
    """Return the report of a whole run, whose files come into ``folder``; maybe from the cache.

    Not one with a board, which may give something else each time.
    """
    cache = recipe.stage_cache if recipe.board.board is None else None
    return TaskCache(cache).run_in("run", RunKey(recipe, version), compute, folder)


def _as_cached(report: Report) -> Report:
    """Return the report of a run that was not run again, with the times that it took then."""

    def cached(stage: StageRun) -> StageRun:
        return replace(stage, status="cached") if stage.status == "done" else stage

    targets = [
        replace(target, stages=tuple(map(cached, target.stages))) for target in report.targets
    ]
    return replace(report, targets=tuple(targets))
