"""``rockpress cache``."""

from __future__ import annotations

from typing import Annotated

import typer
from typer import Option

from ...core.option_kinds import Number
from .. import parameters as o
from ..show import print_json, print_lines, warn
from ..verb_options import VerbCommand, word_reader

app = typer.Typer(add_completion=False)

Clear = Annotated[bool, Option("--clear", help="Remove everything.")]
Shrink = Annotated[
    float | None,
    Option(
        "--shrink",
        metavar="GB",
        parser=word_reader("shrink", Number(0, 1e6, unit="GB")),
        help="Remove what was unused longest, until it fits.",
    ),
]


@app.command(cls=VerbCommand)
def command(
    clear: Clear = False, shrink: Shrink = None, as_json: o.Json = False, verbose: o.Verbose = False
) -> None:
    """Show what is kept of finished stages, or remove it."""
    from ...core.errors import OptionError
    from ...pipeline.caching.cache_folder import cache_folder
    from ...pipeline.caching.stage_cache import Cache
    from ...pipeline.caching.stage_times import StageTimes
    from ...report.text.units import size_text

    if clear and shrink is not None:
        raise OptionError("--clear removes all, --shrink leaves some", "leave one of the two out")
    cache = Cache(cache_folder())
    cache.require_own()
    warn(cache.warnings())
    removed = 0
    if clear or shrink is not None:
        if clear:
            StageTimes(cache.folder).clear()
        removed = cache.shrink(0 if clear else int((shrink or 0) * 1e9), unused=0)
    entries = cache.entries()
    size = sum(entry.bytes for entry in entries)
    if as_json:
        print_json(
            {
                "schema": o.SCHEMA,
                "folder": str(cache.folder),
                "entries": len(entries),
                "bytes": size,
                "removed": removed,
            }
        )
        return
    cleared = f", {size_text(removed)} removed" if removed else ""
    print_lines([f"{cache.folder}: {len(entries)} results, {size_text(size)}{cleared}"])
