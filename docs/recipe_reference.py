"""Write what a recipe may hold into docs/recipe.md, below its marker, and its JSON schema.

.venv/bin/python docs/recipe_reference.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rockpress.core.options import Option
from rockpress.pipeline.options.option_table import HEADINGS, options_of
from rockpress.pipeline.recipes.recipe import VERB, key_meanings

PAGE = Path(__file__).with_name("recipe.md")
SCHEMA = Path(__file__).with_name("rockpress.schema.json")
MARKER = "<!-- What follows is written by docs/recipe_reference.py. -->\n"
_FILE = "The file"
_TEXT = {"type": "string", "minLength": 1}
_MODEL = {**_TEXT, "description": "The ONNX model."}
_OUTPUT = {
    **_TEXT,
    "description": "Folder to write to; each of several models gets one in it. [default: build]",
}
_MODELS = {
    "type": "object",
    "minProperties": 1,
    "patternProperties": {"^[A-Za-z0-9][A-Za-z0-9._-]*$": {"$ref": "#/$defs/ModelOptions"}},
    "additionalProperties": False,
    "description": "Several models, a table of keys each, which go before those above them.",
}


def schema() -> dict[str, Any]:
    """Return the JSON schema of a recipe, made from the table of options."""
    meanings = key_meanings()
    options = {option.flag: _property(option, meanings[option.flag]) for option in options_of(VERB)}
    keys = {"model": _MODEL, **options}
    closed = {"type": "object", "additionalProperties": False}
    return {
        "$defs": {
            "ModelOptions": {
                **closed,
                "description": "What one model can have.",
                "properties": keys,
            }
        },
        **closed,
        "title": "rockpress recipe",
        "description": "Options for all models, the output folder, and the models, if several.",
        "properties": {**keys, "output": _OUTPUT, "models": _MODELS, "tune": _space(keys)},
    }


def _space(keys: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of the section [tune]: a list of values for each option."""
    lists = {
        flag: {"type": "array", "minItems": 1, "items": values}
        for flag, values in keys.items()
        if flag != "model"
    }
    return {
        "type": "object",
        "additionalProperties": False,
        "description": "What rockpress tune chooses from, by option.",
        "properties": lists,
    }


def _property(described: Option, meaning: str) -> dict[str, Any]:
    return {**described.kind.schema(), "description": meaning}


def kind(field: dict[str, Any]) -> str:
    """Return the values that a key takes, in words."""
    if "anyOf" in field:
        return " or ".join(kind(variant) for variant in field["anyOf"])
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
    """Return the generated part of the page: a table for each heading of the help."""
    headings = {option.flag: option.heading for option in options_of(VERB)}
    tables: dict[str, list[str]] = {heading: [] for heading in (_FILE, *HEADINGS)}
    for name, field in schema()["properties"].items():
        cells = [f"`{name}`", kind(field), field["description"]]
        row = "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
        tables[headings.get(name, _FILE)].append(row)
    return "".join(f"\n### {heading}\n\n{_table(rows)}" for heading, rows in tables.items() if rows)


def _table(rows: list[str]) -> str:
    return "\n".join(["| key | takes | meaning |", "| --- | --- | --- |", *rows]) + "\n"


def schema_text() -> str:
    """Return the schema as it stands in its file."""
    return json.dumps(schema(), indent=2) + "\n"


def main() -> None:
    """Replace the generated part of the page, and the schema."""
    PAGE.write_text(PAGE.read_text().split(MARKER)[0] + MARKER + reference())
    SCHEMA.write_text(schema_text())


if __name__ == "__main__":
    main()
