"""The published schema of the report's document, and the document read back."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from importlib import util
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from rockpress.core.diagnostics import Diagnostic
from rockpress.core.errors import ToolkitError
from rockpress.core.results.board_comparison import BoardFigure, SimulatorFigure
from rockpress.core.results.board_figures import TimeSpread
from rockpress.core.results.graph_rows import GraphNode
from rockpress.core.results.layer_rows import Feed, FeedInput, FeedOutput, LayerRow, LayerTime
from rockpress.core.results.model_figures import (
    NOTHING_COMPARED,
    LatencyFigure,
    LatencyScale,
    Memory,
    ModelRow,
    QuantizationFigure,
    Ratios,
    ThroughputFigure,
    TradeoffFigure,
    TrainingFigure,
)
from rockpress.core.results.pruning_figures import (
    CurvePoint,
    Distillation,
    PlanChoice,
    PrunedBlock,
    PrunedGroup,
    PruningAttempt,
    PruningFigure,
    SparseLayer,
    Sparsity,
    UnseenFigure,
)
from rockpress.core.results.report import (
    ChangeFigure,
    EarlierReport,
    GateFigure,
    Report,
    TargetReport,
    ToolVersion,
)
from rockpress.core.results.sample_rows import DriftRow, MetricDetails
from rockpress.core.validation import Malformed
from rockpress.pipeline.check import check
from rockpress.pipeline.recipes.recipe import make_recipe
from rockpress.report.documents.document import to_document, to_json
from rockpress.report.documents.report_reader import metric_details, read_report

DOCS = Path(__file__).parents[2] / "docs"
SCHEMA = json.loads((DOCS / "rockpress-report.schema.json").read_text())
PRUNING = PruningFigure(
    *(0.6, 0.5, 0.4, "cycles", 0.58, "agreement"),
    curve=(CurvePoint(0.8, 0.1, 0.99),),
    groups=(PrunedGroup("stem", 32, 24, 0.1, 0.2, {24: 0.1}, ("a",)),),
    blocks=(PrunedBlock("block", True, 0.1, 0.2, ("b",)),),
    attempts=(PruningAttempt(0.4, 0.985),),
    choice=PlanChoice("uniform", "squared error", {"searched": 0.2, "uniform": 0.1}),
    distillation=Distillation(True, "agreement", 0.08, 0.02, 0.9, 0.95, 800, 300.0, 192, 64),
    sparsity=Sparsity((SparseLayer("c", "input", 64, 0.01),), ("d",), "agreement", 0.99),
    unseen=UnseenFigure(32, 16.8, 0.97),
    latency_ratio=0.7,
    latency_low=0.6,
    latency_high=0.82,
)
NPU = LatencyFigure("npu-estimate", 4.0, 3.2, 5.0, 1000, LatencyScale(1.2, 2, 1.1))
BUILT = ModelRow(
    *("rknn", "rk3588/m.rknn", 100),
    latency=(NPU, LatencyFigure("application-estimate", 4.5, 3.6, 5.6)),
    throughput=(ThroughputFigure(1, 222.0, 178.0, 277.0, "counted"),),
    memory=Memory(2048, 1024),
)
LAYER = LayerRow(
    *(1, "Conv", "INT8", "NPU", ((1, 3, 4, 4),), ((1, 8, 4, 4),), 1, 2, 3, "Conv:c", 4, 5, 0.5),
    *("input", 0.1, "compute"),
)
FAILED = TargetReport(
    "rk3566", (), NOTHING_COMPARED, Ratios(), None, error=ToolkitError("it crashed", "try again")
)


@pytest.fixture
def whole(small_cnn: Path, labelled_folder: Path) -> Report:
    """A report of a check, with what only other runs have put in, and a target that failed."""
    report = check(make_recipe(small_cnn, eval=labelled_folder, robustness=True), small_cnn)
    (target,) = report.targets
    assert target.examples is not None and target.details is not None and target.robustness
    full = replace(
        target,
        target="rk3588",
        models=(*target.models, BUILT),
        ratios=Ratios(0.5, 0.7, 0.6, 0.5, 0.6, 0.82),
        pruning=PRUNING,
        quantization=QuantizationFigure(
            *("gptq", 24, {"gptq": math.inf, "mse": 20.0}, 2),
            tradeoffs=(TradeoffFigure(2, 1.05, math.inf),),
            training=TrainingFigure(True, 8.0, 13.2, 0.31, 0.082, 500, 600.0, 1000, 96),
        ),
        layers=(LAYER,),
        reference_layers=(LayerTime("Conv:c", 4, None),),
        graph=(
            GraphNode("x", "Input"),
            GraphNode("c", "Conv", ("Conv c",), (0,), (1,), 31.5),
            GraphNode("y", "Output", (), (1,)),
        ),
        feed=Feed(
            (
                FeedInput(
                    *("x", "uint8", "NHWC", (1, 4, 4, 3), "rgb", (0.0,), (255.0,)),
                    *("letterbox", (114,), "inside"),
                ),
            ),
            (FeedOutput("y", (1, 8), "int8", 0.5, 3),),
            ("cat", "dog"),
        ),
        drift=(DriftRow("rknn", None, None, 0.9, None, 0.9, 20.0, math.inf),),
        gates=(GateFigure("min-retention", 0.9, 1.0, True, "low"),),
        changes=(ChangeFigure("size", 1.0, 2.0, 1.0),),
        board=BoardFigure(
            *("Orange Pi 5", "rk3588", "2.3.2", None, TimeSpread(3.9, 4.0, 4.2, 150), True),
            SimulatorFigure(*(0.9, 1.0, 1.0, 1.0, 1.0, math.inf), target.parts, True),
        ),
        warnings=(Diagnostic("some-code", "seen", "do"),),
    )
    earlier = EarlierReport("old.json", "pass", report.tool, ToolVersion("rknn-toolkit2"))
    return replace(report, targets=(full, FAILED), baseline=earlier)


def generated() -> dict[Path, str]:
    spec = util.spec_from_file_location("report_schema", DOCS / "report_schema.py")
    assert spec is not None and spec.loader is not None
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    texts: dict[Path, str] = module.texts()
    return texts


def test_the_schemas_are_up_to_date() -> None:
    assert len(generated()) == 5
    for file, text in generated().items():
        assert file.read_text() == text, "run .venv/bin/python docs/report_schema.py"


KINDS: dict[str, Any] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
    "null": type(None),
}


def misfits(value: Any, schema: dict[str, Any], path: str = "") -> list[str]:
    """Where a value is not what the schema says; a key that it does not name is none either."""
    if "$ref" in schema:
        return misfits(value, SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]], path)
    if "anyOf" in schema:
        found = [misfits(value, option, path) for option in schema["anyOf"]]
        return [] if [] in found else found[0]
    kinds = schema.get("type", [])
    names = kinds if isinstance(kinds, list) else [kinds]
    right = not names or any(isinstance(value, KINDS[name]) for name in names)
    if isinstance(value, bool) and names and "boolean" not in names:
        right = False
    if not right or value not in schema.get("enum", [value]) or value != schema.get("const", value):
        return [f"{path}: {value!r}"]
    if isinstance(value, list):
        items = schema["items"]
        return [text for item in value for text in misfits(item, items, f"{path}[]")]
    if not isinstance(value, dict):
        return []
    fields, more = schema.get("properties", {}), schema.get("additionalProperties", False)
    found = [[f"{path} lacks {name}"] for name in schema.get("required", ()) if name not in value]
    for name, item in value.items():
        if name in fields or isinstance(more, dict):
            found.append(misfits(item, fields.get(name, more), f"{path}.{name}"))
        elif not more:
            found.append([f"{path}.{name} is not named"])
    return list(chain.from_iterable(found))


def test_a_report_is_as_the_schema_says(whole: Report) -> None:
    document = json.loads(to_json(whole))
    assert misfits(document, SCHEMA) == []
    targets = document["targets"]
    assert set(targets[0]) == set(SCHEMA["$defs"]["TargetReport"]["properties"])
    targets[0]["models"][0]["bytes"] = "10"
    targets[1]["retention"]["new"] = 1
    del targets[1]["gates"]
    assert misfits(document, SCHEMA) == [
        ".targets[].models[].bytes: '10'",
        ".targets[] lacks gates",
        ".targets[].retention.new is not named",
    ]


def test_a_report_that_was_read_back_is_the_same(whole: Report) -> None:
    document = json.loads(to_json(whole))
    read = read_report(document)
    assert json.loads(to_json(read)) == document
    first, failed = read.targets
    assert first.pruning == PRUNING and first.layers == (LAYER,)
    assert first.quantization == whole.targets[0].quantization
    assert failed.error is not None and failed.error.hint == "try again"
    assert not read.passed and read.baseline == whole.baseline


def test_what_a_newer_report_has_is_left_out(whole: Report) -> None:
    document = json.loads(to_json(whole))
    newer = json.loads(to_json(whole))
    newer["new"] = newer["targets"][0]["new"] = newer["targets"][0]["models"][0]["new"] = {}
    assert to_document(read_report(newer)) == to_document(read_report(document))


@pytest.mark.parametrize("inputs", [[1], [7], [-1]])
def test_a_graph_that_is_none_is_refused(whole: Report, inputs: list[int]) -> None:
    document = json.loads(to_json(whole))
    document["targets"][0]["graph"][1]["inputs"] = inputs
    with pytest.raises(Malformed, match=r"graph\[1\].inputs"):
        read_report(document)


@pytest.mark.parametrize(
    "details",
    [
        {"classes": [{"class": "a", "baseline": 0.5, "candidate": 1.0}]},
        {"classes": [], "confusions": []},
        {"precisions": [{"recall": 0.5, "baseline": 0.9, "candidate": 0.8}]},
        {"precisions": [{"recall": "0.5"}]},
        {"confusions": [{"label": "a", "predicted": "b", "baseline": 1, "candidate": 2}]},
        {"confusions": "none", "classes": [{"class": "a", "iou": 0.5}], "own": [{"x": [1, 2]}]},
    ],
)
def test_details_are_as_the_metric_gave_them(details: dict[str, Any]) -> None:
    target = replace(FAILED, details=metric_details(details))
    report = Report(ToolVersion("rockpress"), ToolVersion("rknn-toolkit2"), {}, (target,))
    assert to_document(report)["targets"][0]["details"] == details
    assert metric_details({}) is None
    assert isinstance(target.details, MetricDetails)
