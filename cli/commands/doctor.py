"""``rockpress doctor``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .. import parameters as o
from ..show import print_json, print_lines, print_table
from ..verb_options import OptionValues, VerbCommand, takes

if TYPE_CHECKING:
    from ...convert.toolkit.environment_facts import Fact
    from ...convert.toolkit.known_issues import KnownIssue
    from ...core.results.board_figures import BoardFacts

SelfTest = Annotated[
    bool,
    typer.Option(
        "--self-test", help="Convert and simulate one convolution too, to see that it works."
    ),
]

app = typer.Typer(add_completion=False)


@app.command(cls=VerbCommand)
@takes("doctor")
def command(
    options: OptionValues,
    self_test: SelfTest = False,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """Check what is installed here and what it can do, or what a board has."""
    from ...convert.toolkit.environment import toolkit_version
    from ...convert.toolkit.environment_facts import environment_facts, machine_facts, mend_all
    from ...convert.toolkit.known_issues import known_issues
    from ...core.results.board_figures import UNTRIED
    from ...pipeline.recipes.recipe import make_recipe
    from ...pipeline.tasks.installed_toolkit import require_python

    recipe = make_recipe("", **options)
    toolkit_python, address = recipe.toolkit.toolkit_python, recipe.board.board
    require_python(toolkit_python)
    version = toolkit_version(toolkit_python)
    board = None if address is None else _asked(address, version, quiet=quiet)
    facts = board[0] if board else [*environment_facts(toolkit_python), *machine_facts()]
    if self_test:
        facts.append(_self_test(toolkit_python, version, quiet=quiet))
    healthy = all(fact.ok for fact in facts)
    issues = () if board else known_issues(version)
    mend = mend_all(facts, toolkit_python)
    if as_json:
        document = {
            "schema": o.SCHEMA,
            "ok": healthy,
            "facts": [asdict(fact) for fact in facts],
            "mend": mend,
            "regressions": [asdict(issue) for issue in issues],
            **({"board": asdict(board[1])} if board else {}),
        }
        print_json(document)
    else:
        _show(facts, issues, version, mend)
        does_not = (
            "a model will not run there" if board else "conversion and simulation will not work"
        )
        end = "all fit" if healthy else f"{does_not} as it is"
        print_lines([*([UNTRIED] if board else []), end])
    if not healthy:
        raise typer.Exit(1)


def _asked(address: str, version: str | None, *, quiet: bool) -> tuple[list[Fact], BoardFacts]:
    """Return what a board has, beside the toolkit of a version here."""
    from ...pipeline.board_findings import board_findings
    from ..progress_display import watching

    with watching(quiet=quiet) as progress:
        progress.stage("board")
        return board_findings(address, version)


def _self_test(python: Path | None, version: str | None, *, quiet: bool) -> Fact:
    """Build and simulate one convolution; what went wrong is a finding here, not an error."""
    from ...convert.toolkit.environment_facts import Fact
    from ...core.errors import ToolkitError
    from ..progress_display import watching

    if version is None:
        return Fact("self-test", "not run: there is no toolkit", False, "install the toolkit")
    with watching(quiet=quiet) as progress:
        progress.stage("self-test")
        from ...convert.smoke_test import run_smoke_test

        try:
            done = run_smoke_test(toolkit_python=python, progress=progress)
        except ToolkitError as error:
            return Fact("self-test", error.message, False, error.hint)
    exact = "bit-exact" if done.steps == 0 else f"off by up to {done.steps} of 255 steps"
    outcome = f"a convolution for {done.target}, {done.seconds:.1f} s, {exact}"
    worry = "" if done.steps <= 1 else "try another version of rknn-toolkit2"
    return Fact("self-test", outcome, not worry, worry)


def _show(
    facts: list[Fact],
    issues: tuple[KnownIssue, ...],
    version: str | None,
    mend: str,
) -> None:
    rows = [(fact.name, "ok" if fact.ok else "NO", fact.found) for fact in facts]
    print_table("doctor", ("what", "fit", "found"), rows)
    for fact in facts:
        print_lines([f"{fact.name}: {part}" for part in (fact.mend, fact.note) if part])
    if sum(bool(fact.install) for fact in facts) > 1:
        print_lines([f"all of these at once: {mend}"])
    for title, handled in (("and what to do", False), ("and worked around", True)):
        of_kind = [issue for issue in issues if issue.handled == handled]
        if of_kind:
            print_lines([f"known of rknn-toolkit2 {version}, {title}:"])
        for issue in of_kind:
            print_lines([f"- {issue.what}", f"  {issue.workaround} ({issue.source})"])
