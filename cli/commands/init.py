"""``rockpress init``."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from typer import Option

from .. import options as o
from ..defaults import with_own_defaults

app = typer.Typer(add_completion=False)

Folder = Annotated[
    Path,
    Option(
        "--output",
        "-o",
        metavar="DIR",
        help="Folder to write to; made when missing. [default: .]",
        show_default=False,
    ),
]


@app.command()
def command(
    model: o.Model,
    output: Folder = Path(),
    calib: o.Calib = None,
    evaluation: o.Eval = None,
    target: o.Targets = None,
    force: o.Force = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """Write a recipe for a model, a Makefile fragment and a CI workflow."""
    from ...convert.chips.targets import find_target
    from ...core.graphs.model import require_model_file
    from ...pipeline.starter import Answers, write_starter

    require_model_file(model)
    names = tuple(find_target(name).name for name in target or ["rk3588"])
    answers = Answers(
        _from(output, model),
        None if calib is None else _from(output, calib),
        None if evaluation is None else _from(output, evaluation),
        names,
    )
    written = write_starter(model, output, answers, _meanings(), force=force)
    if not quiet:
        for path in written:
            print(f"rockpress: written {path}", file=sys.stderr)
        for line in _below_a_top(output):
            print(f"hint: {line}", file=sys.stderr)
        print(f"rockpress: next: rockpress run {written[0]}", file=sys.stderr)


def _below_a_top(folder: Path) -> list[str]:
    """What to do with the files in a folder of a repository that is not its top."""
    from ...pipeline.starter import FRAGMENT, WORKFLOW

    here = folder.resolve()
    top = next((one for one in (here, *here.parents) if (one / ".git").exists()), here)
    if top == here:
        return []
    place = here.relative_to(top).as_posix()
    return [
        f"GitHub reads workflows at the top of a repository alone: move {WORKFLOW} to {top}, and "
        f"put {place}/ before the paths in it",
        f"{FRAGMENT} is for make in that folder: make -C {place} -f {FRAGMENT}",
    ]


def _from(folder: Path, path: Path) -> str:
    return Path(os.path.relpath(path, folder)).as_posix()


def _meanings() -> dict[str, str]:
    """Option of ``run`` -> what it does."""
    from .run import app as run

    params = with_own_defaults(typer.main.get_command(run), "run").params
    return {name[2:]: str(getattr(one, "help", "")) for one in params for name in one.opts}
