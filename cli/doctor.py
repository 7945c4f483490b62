"""``rockpress doctor``."""

from __future__ import annotations

import typer

from . import options as o
from .show import print_json, print_lines, print_table

app = typer.Typer(add_completion=False)


@app.command()
def command(
    toolkit_python: o.ToolkitPython = None, as_json: o.Json = False, verbose: o.Verbose = False
) -> None:
    """Check what is installed here and what it can do."""
    from dataclasses import asdict

    from ..convert.environment import environment_facts

    facts = environment_facts(toolkit_python)
    healthy = all(fact.ok for fact in facts)
    if as_json:
        print_json({"schema": 1, "ok": healthy, "facts": [asdict(fact) for fact in facts]})
    else:
        rows = [(fact.name, "ok" if fact.ok else "NO", fact.found, fact.mend) for fact in facts]
        print_table("doctor", ("what", "fit", "found", "to mend it"), rows)
        print_lines(["all fit" if healthy else "conversion and simulation will not work as it is"])
    if not healthy:
        raise typer.Exit(1)
