"""Write what a recipe may hold into docs/recipe.md, below its marker, and its JSON schema.

python docs/recipe_reference.py
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import typer

from rockpress.cli.commands import run
from rockpress.cli.defaults import with_own_defaults
from rockpress.pipeline.recipes.recipe_file import RecipeFile

PAGE = Path(__file__).with_name("recipe.md")
SCHEMA = Path(__file__).with_name("rockpress.schema.json")
MARKER = "<!-- What follows is written by docs/recipe_reference.py. -->\n"
OF_THE_FILE = {
    "model": "The ONNX model.",
    "input": "Fixed shapes: name of an input -> its shape, such as input.x = [1, 3, 48, 320].",
    "max-regression": "Gate: by what part a figure may be worse than in baseline, such as "
    "max-regression.cycles = 0.02 (size, cycles, latency, retention). Exit 4 above.",
    "metric-option": 'Options of the metric, such as metric-option.charset = "keys.txt".',
    "target": "Chips to build for. [default: rk3588]",
    "output": "Folder to write to; each of several models gets one in it. [default: build]",
    "models": "Several models, a table of keys each, which go before those above them.",
}


@cache
def meanings() -> dict[str, str]:
    """Key -> what it means: the help of the option of that name."""
    params = with_own_defaults(typer.main.get_command(run.app), "run").params
    helps = {name[2:]: str(getattr(one, "help", "")) for one in params for name in one.opts}
    known = {**helps, **OF_THE_FILE}
    return {name: known[name] for name in RecipeFile.model_json_schema()["properties"]}


def schema() -> dict[str, Any]:
    """The JSON schema, with the meanings; null is what is left out, so it is no value."""
    document: dict[str, Any] = _without_null(RecipeFile.model_json_schema())
    document["title"] = "rockpress recipe"
    for part in (document, document["$defs"]["ModelOptions"]):
        for name, field in part["properties"].items():
            field["description"] = meanings()[name]
    return document


def _without_null(value: Any) -> Any:
    """Without null, defaults and the titles that only repeat names."""
    if isinstance(value, list):
        return [_without_null(one) for one in value if one != {"type": "null"}]
    if not isinstance(value, dict):
        return value
    plain = {
        name: _without_null(one)
        for name, one in value.items()
        if name not in ("default", "title") or not isinstance(one, (str, type(None)))
    }
    options = plain.get("anyOf", ())
    return {**plain.pop("anyOf")[0], **plain} if len(options) == 1 else plain


def kind(field: dict[str, Any]) -> str:
    """The values that a key takes, in words."""
    if "anyOf" in field:
        return " or ".join(kind(one) for one in field["anyOf"])
    if "enum" in field:
        return ", ".join(f'"{value}"' for value in field["enum"])
    if field.get("type") == "array":
        return f"[{kind(field['items'])}, ...]"
    if field.get("type") == "object":
        return "a table"
    names = {
        "string": "text",
        "integer": "whole number",
        "number": "number",
        "boolean": "true or false",
    }
    return names.get(field.get("type", ""), "a table")


def reference() -> str:
    """The generated part of the page."""
    rows = ["| key | takes | meaning |", "| --- | --- | --- |"]
    for name, field in schema()["properties"].items():
        cells = [f"`{name}`", kind(field), meanings()[name]]
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n" + "\n".join(rows) + "\n"


def schema_text() -> str:
    """The schema as it stands in its file."""
    return json.dumps(schema(), indent=2) + "\n"


def main() -> None:
    """Replace the generated part of the page, and the schema."""
    PAGE.write_text(PAGE.read_text().split(MARKER)[0] + MARKER + reference())
    SCHEMA.write_text(schema_text())


if __name__ == "__main__":
    main()
