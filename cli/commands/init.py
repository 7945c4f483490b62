"""``rockpress init``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...core.files import real_path
from ...core.option_kinds import Choice
from .. import parameters as o
from ..completion import ONNX, file_completer, word_completer
from ..verb_options import OptionValues, VerbCommand, takes, word_reader
from ..word_colours import with_colour

if TYPE_CHECKING:
    from ...pipeline.ci_files import Ci
    from ...pipeline.recipes.recipe_file import ModelJob
    from ...pipeline.starter_recipe import StartedModel

Models = Annotated[
    list[Path],
    typer.Argument(
        metavar="MODEL",
        help="ONNX models to read.",
        show_default=False,
        autocompletion=file_completer(ONNX),
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Replace files that are there already.")]
Service = Annotated[
    str | None,
    typer.Option(
        "--ci",
        metavar="github|gitlab|none",
        help="Write a file for this CI service. [default: the one that the folder's repository "
        "uses, none outside of one]",
        show_default=False,
        autocompletion=word_completer(("github", "gitlab", "none")),
    ),
]

# what a hint asks for -> how it is given
_ASKED = {
    "calib": "--calib FOLDER",
    "size": "--size HEIGHTxWIDTH",
    "input": "--input NAME=SHAPE",
}

app = typer.Typer(add_completion=False)


@app.command(cls=VerbCommand)
@takes("init")
def command(
    models: Models,
    options: OptionValues,
    output: Annotated[Path, o.output_folder(".")] = Path(),
    ci: Service = None,
    force: Force = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """Write a recipe for models, a Makefile fragment and a file for CI.

    It takes the options of run, which become keys of the recipe. Samples beside a model are found.
    """
    from ...pipeline.ci_files import CI_SERVICES, ci_of
    from ...pipeline.recipes.recipe_file import read_jobs
    from ...pipeline.starter import started_model, write_starter
    from ...pipeline.starter_recipe import have_other_inputs

    service = ci_of(output) if ci is None else word_reader("ci", Choice(CI_SERVICES))(ci)
    started = [started_model(model, options) for model in models]
    written = write_starter(started, options, output, service, force=force)
    jobs = read_jobs(written[0])
    if not quiet:
        _tell([*(f"written {path}{_purpose(path)}" for path in written), *_found(started)])
        for line in _on_ci(output, service):
            print(with_colour(f"hint: {line}"), file=sys.stderr)
        _tell_next(written[0], jobs, each_its_own=have_other_inputs(started))


def _tell(lines: Sequence[str]) -> None:
    for line in lines:
        print(f"rockpress: {line}", file=sys.stderr)


def _purpose(path: Path) -> str:
    """Return what a file is for that nobody has asked for; its beginning says how it is used."""
    from ...pipeline.ci_files import FRAGMENT

    return ", for make" if path.name == FRAGMENT else ""


def _found(models: Sequence[StartedModel]) -> list[str]:
    """Return lines on the family of each model, and the samples that were found beside it."""
    from ...report.text.family_text import family_text

    lines = []
    for model in models:
        name, samples = model.recipe.model.name, model.found
        if model.family is not None:
            lines.append(f"{name}: {family_text(model.family)}")
        if samples.calib and samples.calib != samples.eval:
            lines.append(f"{name}: {samples.calib} is to calibrate with")
        if samples.eval:
            too = "; to calibrate with too, where other samples would be better"
            shared = too if samples.calib == samples.eval else ""
            lines.append(f"{name}: {samples.eval} is labelled, to measure with{shared}")
    return lines


def _tell_next(recipe: Path, jobs: Sequence[ModelJob], *, each_its_own: bool) -> None:
    """Say what is still open, and the command that comes next, with what it needs beside.

    Models that each need their own get that in the recipe, as the command has it for all of them.
    """
    from ...core.diagnostics import mentions
    from ...pipeline.starter import open_questions

    more: dict[str, None] = {}
    tables: dict[str, None] = {}
    for job in jobs:
        for fault in open_questions(job.recipe):
            _tell([f"{f'{job.name}: ' if job.name else ''}still open: {fault.message}"])
            print(with_colour(f"hint: {fault.hint}"), file=sys.stderr)
            asked = set(mentions(fault.diagnostic.hint))
            asked -= {"input"} if "size" in asked else set()  # the same, said shorter
            more |= {words: None for name, words in _ASKED.items() if name in asked}
            tables |= {f"[models.{job.name}]": None}
    if each_its_own and more:
        _tell([f"next: rockpress run {recipe}, with that written into {' and '.join(tables)}"])
        return
    _tell([f"next: {' '.join(['rockpress run', str(recipe), *more])}"])


def _on_ci(folder: Path, service: Ci) -> list[str]:
    """Return what is left to do for CI, and for make below the top of a repository."""
    from ...pipeline.ci_files import CI_FILES, FRAGMENT, repository_of
    from ...pipeline.install_source import WHEELS, install_source

    here, top = real_path(folder), repository_of(folder)
    below = here.relative_to(top).as_posix() if top and top != here else ""
    lines = []
    if service != "none":
        source = install_source()
        wheel = f", put there by {source.put_wheel(folder / WHEELS)}" if source.project else ""
        lines.append(f"{CI_FILES[service]} installs {source.words}{wheel}")
    if service == "gitlab":
        where = f"{below}/{CI_FILES[service]}" if below else CI_FILES[service]
        lines.append(f"name it in .gitlab-ci.yml: include: {{local: {where}}}")
    if below and service != "none":
        moved = f"move {CI_FILES[service]} to {top}, and " if service == "github" else ""
        lines.append(
            f"CI starts at the top of a repository: {moved}put {below}/ before the paths in it"
        )
    if below:
        lines.append(f"{FRAGMENT} is for make in that folder: make -C {below} -f {FRAGMENT}")
    return lines
