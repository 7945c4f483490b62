"""The models of ``rockpress run``: one, or those of a recipe, each with a report of its own."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ..core.errors import RockpressError
from .handler import resumable
from .parameters import SCHEMA
from .places import pages_of_all, reports_of, whole_report
from .progress_display import watching
from .result_screen import ResultScreen, show_report
from .show import print_json, print_lines, warn
from .target_results import GATE_FAILED, end_with, explain, of_model

if TYPE_CHECKING:
    from ..core.results.report import Report
    from ..pipeline.caching.stage_cache import Cache
    from ..pipeline.recipes.recipe_file import ModelJob


@dataclass(frozen=True)
class Display:
    """Which command shows results, how, and to which files they are written too."""

    verb: str
    as_json: bool
    reports: Sequence[Path]
    quiet: bool
    verbose: bool


def open_cache(*, fresh: bool = False) -> Cache:
    """Open the user's cache, of which ``fresh`` takes nothing; warn when it cannot be used."""
    from ..pipeline.caching.cache_folder import cache_folder
    from ..pipeline.caching.stage_cache import Cache

    cache = Cache(cache_folder(), fresh=fresh)
    warn(cache.warnings())
    return cache


def read_jobs(model: Path, output: Path | None) -> list[ModelJob]:
    """Return what a model or a recipe asks for, to ``output`` instead of the recipe's folder."""
    from ..pipeline.recipes.recipe import Recipe
    from ..pipeline.recipes.recipe_file import ModelJob, read_jobs

    if model.suffix.lower() != ".toml":
        return [ModelJob(None, Recipe(model), output or Path("build"))]
    jobs = read_jobs(model)
    if output is None:
        return list(jobs)
    return [replace(job, output=output / job.name if job.name else output) for job in jobs]


def run_one(job: ModelJob, display: Display) -> int:
    """Run a model, show its report, and return the exit code."""
    from ..pipeline.parallel import AllFailed

    try:
        result, warned = _run(job, display)
    except AllFailed as failed:
        end_with(failed.errors, verbose=display.verbose, code=failed.exit_code)
    screen = ResultScreen(
        as_json=display.as_json,
        verbose=display.verbose,
        files=display.reports,
        folder=job.output,
        shown=warned,
    )
    show_report(result, screen)
    return _end(result, display)


def run_several(jobs: Sequence[ModelJob], display: Display) -> int:
    """Run all models, whichever of them fail, and return the worst exit code.

    Writes the report of all and their pages side by side, unless there is none of any.
    """
    from ..core.files import write_text
    from ..pipeline.tasks.idle_options import idle_in_all
    from ..report.documents.document import json_text

    warn(idle_in_all([job.recipe for job in jobs], "run"))
    outcomes: dict[str, Report | RockpressError] = {}
    codes = [_run_of_several(job, display, outcomes) for job in jobs]
    documents = {name: _document(outcome) for name, outcome in outcomes.items()}
    verdict = _worst_verdict([document.get("verdict", "fail") for document in documents.values()])
    document = {"schema": SCHEMA, "verdict": verdict, "models": documents}
    if any("targets" in document for document in documents.values()):
        write_text(whole_report(jobs), json_text(document))
        _write_pages_of_all(jobs, outcomes, display)
    if display.as_json:
        print_json(document)
    # what broke comes before what is only too bad
    return next((code for code in codes if code not in (0, GATE_FAILED)), max(codes))


def _worst_verdict(verdicts: Sequence[str]) -> str:
    """Return fail when a model has that, or pass when any has gates of the user's, or none."""
    return next(verdict for verdict in ("fail", "pass", "none") if verdict in verdicts)


def _document(outcome: Report | RockpressError) -> dict[str, Any]:
    from ..report.documents.document import to_document

    if isinstance(outcome, RockpressError):
        return {"error": {"message": outcome.message, "hint": outcome.hint}}
    return to_document(outcome)


def _write_pages_of_all(
    jobs: Sequence[ModelJob], outcomes: Mapping[str, Report | RockpressError], display: Display
) -> None:
    """Write all models side by side to those files of ``--report`` that have such a form."""
    from ..core.files import write_text
    from ..pipeline.comparison import compare_models
    from ..report.comparison.comparison_files import rendered_comparison

    for file in pages_of_all(display.reports):
        links = {str(job.name): reports_of(job, [file])[0].name for job in jobs}
        comparison = compare_models(outcomes, whole_report(jobs).parent, links)
        write_text(file, rendered_comparison(comparison, file.suffix))


def _run_of_several(
    job: ModelJob, display: Display, outcomes: dict[str, Report | RockpressError]
) -> int:
    name = str(job.name)
    if not display.quiet:
        print(f"rockpress: {name}", file=sys.stderr)
    try:
        result, warned = _run(job, display)
    except RockpressError as error:
        outcomes[name] = error
        explain(name, error, verbose=display.verbose)
        return error.exit_code
    outcomes[name] = result
    if not display.as_json:
        print_lines([f"model {name}"])
    screen = ResultScreen(
        verbose=display.verbose,
        files=reports_of(job, display.reports),
        folder=job.output,
        on_stdout=not display.as_json,
        shown=warned,
    )
    show_report(result, screen)
    try:
        return _end(result, display)
    except typer.Exit as end:
        return end.exit_code


def _run(job: ModelJob, display: Display) -> tuple[Report, frozenset[tuple[str, str]]]:
    from ..pipeline.run import run

    resumes = job.recipe.stage_cache is not None
    hint = "the same command goes on after the last stage that was finished" if resumes else ""
    with resumable(hint), watching(quiet=display.quiet) as progress:
        return run(job.recipe, job.output, progress, verb=display.verb), progress.shown


def _end(result: Report, display: Display) -> int:
    if result.failures:
        end_with(result.failures, verbose=display.verbose)
    return 0 if result.passed else GATE_FAILED


def show_plans(jobs: Sequence[ModelJob], *, as_json: bool) -> None:
    """Show what each run would do."""
    from ..pipeline.dry_run import plan_run
    from ..pipeline.tasks.idle_options import idle_in_all
    from ..report.text.family_text import family_text
    from ..report.text.verdict import limit_text

    warn(idle_in_all([job.recipe for job in jobs], "run"))
    with watching(quiet=True) as progress:
        plans = []
        for job in jobs:
            try:
                plans += [(job.name, plan) for plan in plan_run(job.recipe, job.output, progress)]
            except RockpressError as error:
                raise (of_model(job.name, error) if job.name else error) from error.__cause__
    if as_json:
        targets = [{"model": name, **asdict(plan)} for name, plan in plans]
        print_json({"schema": SCHEMA, "targets": targets})
        return
    for name, plan in plans:
        lines = [family_text(plan.family)] if plan.family and plan.family.taken else []
        title = f"{name}: {plan.target}" if name else plan.target
        print_lines([f"{title} -> {plan.output}", *(f"  {line}" for line in lines)])
        print_lines(f"  {stage.name:<18}  {stage.status:<6}  {stage.what}" for stage in plan.stages)
        gates = [f"{gate} {limit_text(gate, limit)}" for gate, limit in plan.gates.items()]
        print_lines([f"  gates: {', '.join(gates) or 'none'}"])


def write_depfile(file: Path, jobs: Sequence[ModelJob], model: Path) -> None:
    """Write a rule for the report, which needs the results too, so that none can be missing."""
    from ..core.files import write_bytes
    from ..pipeline.depfile import name_warnings, needed_files, result_files, rule
    from ..pipeline.run import REPORT_FILE

    needed = [] if jobs[0].recipe.model == model else [model]
    for job in jobs:
        needed += [*needed_files(job.recipe), *result_files(job.recipe, job.output)]
        needed += [job.output / REPORT_FILE] if job.name else []
    warn(name_warnings(needed))
    # a name may be of any bytes
    write_bytes(file, os.fsencode(rule(whole_report(jobs), needed)))
