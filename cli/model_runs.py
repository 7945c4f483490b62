"""The models of ``rockpress run``: one, or those of a recipe, each with a report of its own."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ..core.errors import RockpressError
from .handler import resumable
from .places import reports_of, whole_report
from .progress_display import watching
from .show import print_json, print_lines, show_folder, show_report, warn
from .target_results import end_with, explain

if TYPE_CHECKING:
    from ..core.results.report import Report
    from ..pipeline.caching.stage_cache import Cache
    from ..pipeline.recipes.recipe_file import ModelJob

GATE_FAILED = 4
SCHEMA = 1


@dataclass(frozen=True)
class Shown:
    """How results are shown."""

    as_json: bool
    reports: Sequence[Path]
    quiet: bool
    verbose: bool


def opened_cache(*, fresh: bool = False) -> Cache:
    """The user's cache; with ``fresh`` nothing is taken from it. Warns when it cannot be used."""
    from ..pipeline.caching.stage_cache import Cache, cache_folder

    cache = Cache(cache_folder(), fresh=fresh)
    warn(cache.notices())
    return cache


def read_jobs(model: Path, output: Path | None) -> list[ModelJob]:
    """What a model or a recipe asks for; ``output`` is the folder instead of the recipe's."""
    from ..pipeline.recipes.recipe import Recipe
    from ..pipeline.recipes.recipe_file import ModelJob, read_jobs

    if model.suffix.lower() != ".toml":
        return [ModelJob(None, Recipe(model), output or Path("build"))]
    jobs = read_jobs(model)
    if output is None:
        return list(jobs)
    return [replace(job, output=output / job.name if job.name else output) for job in jobs]


def run_one(job: ModelJob, shown: Shown) -> int:
    """Run it, show its report, and return the exit code."""
    from ..pipeline.parallel import AllFailed

    try:
        result, told = _run(job, shown)
    except AllFailed as failed:
        end_with(failed.errors, verbose=shown.verbose, code=failed.exit_code)
    show_report(result, as_json=shown.as_json, files=shown.reports, shown=told)
    return _end(job, result, shown)


def run_several(jobs: Sequence[ModelJob], shown: Shown) -> int:
    """Run all; one that fails does not keep the others from it. Returns the worst exit code.

    Writes the report of all, unless there is none of any.
    """
    from ..core.files import write_text
    from ..report.documents.document import json_text

    documents: dict[str, Any] = {}
    codes = []
    for job in jobs:
        codes.append(_run_of_several(job, shown, documents))
    verdict = "fail" if any(codes) else "pass"
    document = {"schema": SCHEMA, "verdict": verdict, "models": documents}
    if any("targets" in one for one in documents.values()):
        write_text(whole_report(jobs), json_text(document))
    if shown.as_json:
        print_json(document)
    # what broke comes before what is only too bad
    return next((code for code in codes if code not in (0, GATE_FAILED)), max(codes))


def _run_of_several(job: ModelJob, shown: Shown, documents: dict[str, Any]) -> int:
    from ..report.documents.document import to_document

    name = str(job.name)
    if not shown.quiet:
        print(f"rockpress: {name}", file=sys.stderr)
    try:
        result, told = _run(job, shown)
    except RockpressError as error:
        documents[name] = {"error": {"message": error.message, "hint": error.hint}}
        explain(name, error, verbose=shown.verbose)
        return error.exit_code
    documents[name] = to_document(result)
    if not shown.as_json:
        print_lines([f"model {name}"])
    show_report(
        result,
        as_json=False,
        files=reports_of(job, shown.reports),
        shown=told,
        on_stdout=not shown.as_json,
    )
    try:
        return _end(job, result, shown)
    except typer.Exit as end:
        return end.exit_code


def _run(job: ModelJob, shown: Shown) -> tuple[Report, frozenset[tuple[str, str]]]:
    from ..pipeline.run import run

    kept = job.recipe.keeps_stages
    hint = "the same command goes on after the last stage that was finished" if kept else ""
    telling = watching(quiet=shown.quiet)
    with resumable(hint), telling as progress:
        return run(job.recipe, job.output, progress), progress.shown


def _end(job: ModelJob, result: Report, shown: Shown) -> int:
    show_folder(job.output, quiet=shown.quiet)
    if result.failures:
        end_with(result.failures, verbose=shown.verbose)
    return 0 if result.passed else GATE_FAILED


def show_plans(jobs: Sequence[ModelJob], *, as_json: bool) -> None:
    """What each would do."""
    from ..pipeline.dry_run import planned

    plans = [(job.name, one) for job in jobs for one in planned(job.recipe, job.output)]
    if as_json:
        targets = [{"model": name, **asdict(one)} for name, one in plans]
        print_json({"schema": SCHEMA, "targets": targets})
        return
    for name, one in plans:
        title = f"{name}: {one.target}" if name else one.target
        print_lines([f"{title} -> {one.output}"])
        print_lines(f"  {stage.name:<18}  {stage.status:<6}  {stage.what}" for stage in one.stages)
        gates = [f"{gate} {limit:g}" for gate, limit in one.gates.items()]
        print_lines([f"  gates: {', '.join(gates) or 'none'}"])


def write_depfile(file: Path, jobs: Sequence[ModelJob], model: Path) -> None:
    """A rule for the report; the results are among what it needs, so that none can be missing."""
    from ..core.files import write_bytes
    from ..pipeline.depfile import name_notices, needed_files, result_files, rule
    from ..pipeline.run import REPORT_FILE

    needed = [] if jobs[0].recipe.model == model else [model]
    for job in jobs:
        needed += [*needed_files(job.recipe), *result_files(job.recipe, job.output)]
        needed += [job.output / REPORT_FILE] if job.name else []
    warn(name_notices(needed))
    # a name may be of any bytes
    write_bytes(file, os.fsencode(rule(whole_report(jobs), needed)))
