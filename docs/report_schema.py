"""Write the JSON schemas of our documents into docs/: of reports, comparisons, runs and searches.

.venv/bin/python docs/report_schema.py
"""

from __future__ import annotations

import inspect
import json
import sys
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from rockpress.convert.latency.timed_runs import SCHEMA as RECORD_SCHEMA
from rockpress.convert.latency.timed_runs import RunRecord
from rockpress.core.results.bench_figures import BoardBench
from rockpress.core.results.report import Report
from rockpress.core.results.tune_report import TuneReport
from rockpress.report.comparison.compared_result import SCHEMA as COMPARISON_SCHEMA
from rockpress.report.comparison.compared_result import SideBySide
from rockpress.report.documents.bench_document import SCHEMA as BENCH_SCHEMA
from rockpress.report.documents.document import NAMES, NEVER, SCHEMA, WHEN_THERE
from rockpress.report.documents.report_reader import INFINITE
from rockpress.report.documents.tune_document import SCHEMA as TUNE_SCHEMA

FILE = Path(__file__).with_name("rockpress-report.schema.json")
RECORD_FILE = FILE.with_name("rockpress-runs.schema.json")
COMPARISON_FILE = FILE.with_name("rockpress-comparison.schema.json")
BENCH_FILE = FILE.with_name("rockpress-bench.schema.json")
TUNE_FILE = FILE.with_name("rockpress-tune.schema.json")
ERROR = {
    "type": "object",
    "properties": {"message": {"type": "string"}, "hint": {"type": "string"}},
    "required": ["message", "hint"],
}
_NOISE = ("title", "default")
# What the document says of itself, before what the report holds.
HEAD = {"schema": {"const": SCHEMA}, "verdict": {"enum": ["pass", "fail", "none"]}}


class _Errors(GenerateJsonSchema):
    """The generator of the types' schema, which knows what an error is in the document."""

    def is_instance_schema(self, schema: Any) -> dict[str, Any]:
        """Return the schema of the one class that is no dataclass."""
        return ERROR


def schema() -> dict[str, Any]:
    """Return the JSON schema of a report, made from the types that it is written from."""
    kinds = _kinds(Report)
    kinds["GateFigure"]["properties"]["value"] = {"type": ["number", "null"]}
    report = kinds.pop("Report")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "rockpress report",
        "description": report["description"],
        "type": "object",
        "properties": {**HEAD, **report["properties"]},
        "required": [*HEAD, *report["required"]],
        "$defs": kinds,
    }


def comparison_schema() -> dict[str, Any]:
    """Return the JSON schema of what ``compare --json`` prints."""
    return _of_one_kind(SideBySide, "rockpress comparison", COMPARISON_SCHEMA)


def bench_schema() -> dict[str, Any]:
    """Return the JSON schema of what ``bench --json`` prints."""
    return _of_one_kind(BoardBench, "rockpress bench", BENCH_SCHEMA)


def tune_schema() -> dict[str, Any]:
    """Return the JSON schema of what ``tune --json`` prints, and of a search's tune.json."""
    schema = _of_one_kind(TuneReport, "rockpress tune", TUNE_SCHEMA)
    return {**schema, "required": ["schema", *schema["required"]]}


def _of_one_kind(whole: type, title: str, version: int) -> dict[str, Any]:
    """Return the schema of a document that is one dataclass and its version."""
    kinds = _kinds(whole)
    schema = kinds.pop(whole.__name__)
    schema["properties"]["schema"] = {"const": version}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        **schema,
        "$defs": kinds,
    }


def _kinds(whole: type) -> dict[str, dict[str, Any]]:
    """Return the schema of each type that a document is made of, as the document has it."""
    config = ConfigDict(
        alias_generator=lambda name: NAMES.get(name, name), arbitrary_types_allowed=True
    )
    types = TypeAdapter(list[whole], config=config).json_schema(  # type: ignore[valid-type]
        schema_generator=_Errors
    )
    docstrings = _docstrings()
    kinds = {name: _plain(kind, docstrings[name]) for name, kind in types["$defs"].items()}
    for fields in (NEVER, WHEN_THERE):
        for kind, names in fields.items():
            for name in (NAMES.get(name, name) for name in names if kind.__name__ in kinds):
                _leave_out(kinds[kind.__name__], name, always=fields is NEVER)
    return kinds


def record_schema() -> dict[str, Any]:
    """Return the JSON schema of a record of timed runs, which may hold more than it names."""
    found = TypeAdapter(list[RunRecord]).json_schema()["$defs"]
    docstrings = _docstrings()
    kinds = {}
    for name, kind in found.items():
        needed = kind.get("required", [])
        kinds[name] = {**_plain(kind, docstrings[name]), "required": needed}
    record = kinds.pop("RunRecord")
    record["properties"]["schema"] = {"const": RECORD_SCHEMA}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "rockpress runs",
        **{**record, "required": ["schema", "runs"]},
        "$defs": kinds,
    }


def _docstrings() -> dict[str, str]:
    """Return those of our dataclasses by name; not every pydantic has them in the schema."""
    modules = [
        vars(module) for name, module in sys.modules.items() if name.startswith("rockpress.")
    ]
    classes = {
        name: kind for names in modules for name, kind in names.items() if is_dataclass(kind)
    }
    return {name: inspect.getdoc(kind) or "" for name, kind in classes.items()}


def _plain(kind: dict[str, Any], docstring: str) -> dict[str, Any]:
    """Return a dataclass's schema in the form of the document: every field is there."""
    fields = {name: _field(name, field) for name, field in kind["properties"].items()}
    more = fields.pop("more", None)  # of a metric of the user's own, beside the others
    return {
        "description": " ".join(docstring.split()).replace("``", "`"),
        "type": "object",
        "properties": fields,
        "required": list(fields),
        **({} if more is None else {"additionalProperties": True}),
    }


def _field(name: str, field: dict[str, Any]) -> dict[str, Any]:
    """Return a field's schema without what only repeats its name, and null where it may be."""
    plain = _without_titles(field)
    if name == "candidates":
        plain["additionalProperties"] = {"type": ["number", "null"]}
    return {"type": ["number", "null"]} if name in INFINITE else plain


def _without_titles(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_titles(item) for item in value]
    if not isinstance(value, dict):
        return value
    plain = {key: _without_titles(item) for key, item in value.items() if key not in _NOISE}
    options = plain.get("anyOf", ())
    if [set(option) for option in options] == [{"type"}, {"type"}]:
        return {"type": [option["type"] for option in options]}
    return plain


def _leave_out(kind: dict[str, Any], name: str, *, always: bool) -> None:
    """Take a field out, or make it one that is left out instead of being null."""
    kind["required"].remove(name)
    field = kind["properties"].pop(name)
    if always:
        return
    if isinstance(field.get("type"), list):
        field = {"type": field["type"][0]}
    kind["properties"][name] = field.get("anyOf", [field])[0]


def texts() -> dict[Path, str]:
    """Return the schemas as they stand in their files."""
    schemas = {
        FILE: schema(),
        RECORD_FILE: record_schema(),
        COMPARISON_FILE: comparison_schema(),
        BENCH_FILE: bench_schema(),
        TUNE_FILE: tune_schema(),
    }
    return {file: json.dumps(content, indent=2) + "\n" for file, content in schemas.items()}


if __name__ == "__main__":
    for file, text in texts().items():
        file.write_text(text)
