"""What only ``rockpress run`` takes, see options.py."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

ModelOrRecipe = Annotated[
    Path,
    Argument(
        metavar="MODEL|RECIPE.toml",
        help="ONNX model to read, or a recipe: these options in a file, which those given here "
        "go before.",
        show_default=False,
    ),
]
Depfile = Annotated[
    Path | None,
    Option(
        "--depfile",
        metavar="FILE",
        help="Write a rule for Make here: which files the report depends on.",
    ),
]
DryRun = Annotated[
    bool, Option("--dry-run", help="Show what would be done and what is cached, and do nothing.")
]
