"""``rockpress compare``: what it reads and refuses, and the page of a run of several models."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from commands import COMMAND, Run
from rockpress.cli.show import print_table
from rockpress.core.results.model_figures import (
    AccuracyFigure,
    LatencyFigure,
    ModelRow,
    Ratios,
    RetentionFigure,
)
from rockpress.core.results.report import Report, TargetReport, ToolVersion
from rockpress.report.documents.document import to_document
from terminals import read_all

DOCS = Path(__file__).parents[2] / "docs"


def document(ms: float = 2.0, model: str = "m.onnx") -> dict[str, Any]:
    npu = LatencyFigure("npu-estimate", ms, ms / 1.2, ms * 1.2, 1000)
    accuracy = AccuracyFigure("top1", 0.9, 0.88, 0.92, 400, "rknn-simulator")
    row = ModelRow("rknn", None, 1000, latency=(npu,), accuracy=accuracy)
    retention = RetentionFigure("top1", 1.0, 0.9, 1.1, 400, 0.99, 25.0)
    target = TargetReport("rk3588", (row,), retention, Ratios(), None)
    tools = ToolVersion("rockpress", "0.1.0"), ToolVersion("rknn-toolkit2", "2.5.0")
    return to_document(Report(*tools, {"model": model, "scheme": "w8a8", "eval": "e"}, (target,)))


def written(file: Path, content: dict[str, Any]) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content))
    return file


def test_a_folder_is_no_file_for_a_report(tmp_path: Path, rockpress: Run) -> None:
    report = written(tmp_path / "a.json", document())
    code, out, err = rockpress("compare", report, report, "--report", ".")
    assert (code, out) == (2, "")
    error, hint = err.splitlines()
    assert error.startswith("error: --report: '.' does not end in one of ")
    assert hint == "hint: did you mean --report report.html?"


def test_a_kind_of_latency_of_a_later_version(tmp_path: Path, rockpress: Run) -> None:
    later = document()
    later["targets"][0]["models"][0]["latency"][0]["kind"] = "guess"
    files = written(tmp_path / "a.json", document()), written(tmp_path / "b.json", later)
    code, _, err = rockpress("compare", *files, "--report", tmp_path / "c.html")
    assert code == 0, err
    assert "(guess)" in (tmp_path / "c.html").read_text()


def test_a_folder_has_the_reports_of_results_that_a_later_run_left_there(
    tmp_path: Path, rockpress: Run
) -> None:
    runs = tmp_path / "runs"
    for name, ms in (("report", 1.0), ("report-m-rk3566", 2.0), ("report-old", 3.0)):
        written(runs / "v1" / f"{name}.json", document(ms))
    for folder in (runs, runs / "v1"):
        code, out, err = rockpress("compare", folder, "--json")
        assert code == 0, err
        files = [Path(each["file"]).name for each in json.loads(out)["results"]]
        assert files == ["report.json", "report-m-rk3566.json"]


def test_reports_and_folders_of_runs(tmp_path: Path, rockpress: Run) -> None:
    first = written(tmp_path / "first.json", document())
    for name, ms in (("v1", 1.0), ("v2", 3.0)):
        written(tmp_path / "runs" / name / "report.json", document(ms))
    code, out, err = rockpress("compare", first, tmp_path / "runs")
    assert (code, err) == (0, "")
    assert out.startswith("3 results\nresult ")
    assert "all: m, rk3588, w8a8\n" in out
    assert "v2 against first: size +0.0%, latency +50.0% (90 %: " in out
    files = [tmp_path / f"all.{suffix}" for suffix in ("html", "md", "json")]
    reports = [word for file in files for word in ("--report", file)]
    code, out, _ = rockpress("compare", first, tmp_path / "runs", "--json", *reports)
    assert code == 0
    assert files[2].read_text() == out
    shown = json.loads(out)
    assert [each["name"] for each in shown["results"]] == ["first", "v1", "v2"]
    schema = json.loads((DOCS / "rockpress-comparison.schema.json").read_text())
    assert set(shown) == set(schema["properties"]) == set(schema["required"])
    for kind, key in (("ComparedResult", "results"), ("AgainstFirst", "against")):
        assert set(shown[key][0]) == set(schema["$defs"][kind]["properties"])
    assert all("first" in file.read_text() for file in files)


def test_the_report_of_several_models(tmp_path: Path, rockpress: Run) -> None:
    models = {
        "a": document(),
        "b": document(1.0, "n.onnx"),
        "c": {"error": {"message": "it is gone", "hint": ""}},
    }
    whole = {"schema": 1, "verdict": "fail", "models": models}
    file = written(tmp_path / "build" / "report.json", whole)
    code, out, err = rockpress("compare", file.parent)
    assert code == 0
    for name in ("build a", "build b", "build c"):
        assert f"\n{name} " in out
    assert "[compare-model]" in err


def test_a_name_that_nobody_reads_is_cut_in_its_middle_off_a_terminal_too(
    capsys: pytest.CaptureFixture[str],
) -> None:
    name = f"Conv:/encoder/{'x' * 140}/Conv"
    print_table("layers", ("layer", "ms"), [(name, "0.5"), ("Conv:a", "0.1")])
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) == 80 + len("   ms")
    assert lines[3].startswith("Conv:/encoder/x") and lines[3].endswith("x/Conv  0.5")
    assert "…" in lines[3] and lines[4].startswith("Conv:a ")


@pytest.mark.parametrize(
    "rows",
    [
        [("float16", "0.5", "12 kB"), ("int8", "0.25", "")],
        [("é µ ± …", "±1", "")],
        [("日本", "1", "2")],
        [("x", "1", "y" * 220)],
        [],
    ],
)
def test_a_log_has_the_table_that_rich_would_draw(
    rows: list[tuple[str, ...]], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    heading = ("layer", "ms", "vs\nfloat16")
    print_table("layers", heading, rows)
    plain = capsys.readouterr().out
    monkeypatch.setattr("rockpress.cli.show._is_drawn", lambda: True)
    print_table("layers", heading, rows)
    assert capsys.readouterr().out == plain


def large(folder: Path) -> Path:
    with (folder / "large.json").open("wb") as file:
        file.truncate(65 << 20)
    return folder / "large.json"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "not a report"),
        ("[" * 100_000, "not a report"),
        ("[]", "it has no schema"),
        ('{"schema": 1}', "it has no targets"),
        ('{"schema": 7, "targets": []}', "a report of schema 7, this rockpress reads 1"),
        ('{"schema": 1, "models": {"a": {}}}', "a: not a report of rockpress: it has no targets"),
        ('{"schema": 1, "targets": [{"models": 1e999}]}', "targets[0].models is Infinity, not a"),
        ('{"schema": 1, "targets": [{"a": [-9000000000000000000]}]}', "targets[0].a[0] is -9000"),
    ],
)
def test_what_is_no_report(content: str, words: str, tmp_path: Path, rockpress: Run) -> None:
    bad, good = tmp_path / "bad.json", written(tmp_path / "good.json", document())
    bad.write_text(content)
    code, out, err = rockpress("compare", good, bad)
    assert (code, out) == (1, "")
    assert err.startswith(f"error: {bad}: ") and words in err
    assert err.count("\n") == 2


def test_what_cannot_be_read_or_compared(tmp_path: Path, rockpress: Run) -> None:
    good = written(tmp_path / "good.json", document())
    (tmp_path / "empty").mkdir()
    (tmp_path / "none.rknn").write_bytes(b"RKNN")
    cases: list[tuple[list[object], int, str]] = [
        ([good], 2, f"there is one result to compare: {good}"),
        ([good, tmp_path / "gone.json"], 1, "cannot be read: No such file"),
        ([good, large(tmp_path)], 1, "more than the 64 MB"),
        ([good, tmp_path / "empty"], 1, "there is no report.json in this folder or below it"),
        ([good, tmp_path / "none.rknn"], 1, "none.rknn"),
        ([good, good, "--report", good], 2, "would replace what is read"),
        ([good, good, "--report", tmp_path / "x.xml"], 2, "does not end in one of .html, .json"),
        ([good, tmp_path / "." / "good.json"], 2, "there is one result"),
        ([], 2, "is missing"),
    ]
    for words, expected, text in cases:
        code, out, err = rockpress("compare", *words)
        assert (code, out) == (expected, ""), err
        assert text in err
    for number in range(101):
        written(tmp_path / "many" / str(number) / "report.json", document())
    code, _, err = rockpress("compare", tmp_path / "many")
    assert code == 2 and "there are more than 100 reports" in err


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_a_terminal_is_not_too_narrow(columns: int, tmp_path: Path) -> None:
    files = [written(tmp_path / f"{name}.json", document(ms)) for name, ms in (("a", 1), ("b", 2))]
    ours, theirs = pty.openpty()
    place = {**os.environ, "COLUMNS": str(columns), "TERM": "xterm"}
    line = [*COMMAND, "compare", *map(str, files)]
    with subprocess.Popen(line, stdout=theirs, env=place) as command:
        os.close(theirs)
        text = read_all(ours).decode()
        assert command.wait(60) == 0
    shown = re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", text).splitlines()
    assert max(map(len, shown)) <= columns
    assert sum(line.startswith("result") for line in shown) == (2 if columns < 100 else 1)
    assert "b against a: size +0.0%, latency +100.0%" in " ".join(shown)


@pytest.mark.toolkit
def test_builds_by_their_manifests(
    demo_run: subprocess.CompletedProcess[str], tmp_path: Path, rockpress: Run
) -> None:
    (built,) = (demo_run.args[-1] / "demo" / "rk3588").glob("*.rknn")
    code, out, err = rockpress("compare", demo_run.args[-1] / "report.json", built, "--json")
    assert (code, err) == (0, "")
    report, alone = json.loads(out)["results"]
    for key in ("target", "scheme", "toolkit", "bytes", "cycles", "latency", "memory"):
        assert report[key] == alone[key]
    assert alone["verdict"] is None
    bare = tmp_path / "bare.rknn"
    shutil.copy(built, bare)
    code, out, err = rockpress("compare", built, bare)
    assert code == 0
    assert "there is no manifest (bare.rknn.json) beside it [compare-manifest]" in err


@pytest.mark.toolkit
def test_a_run_of_several_models_has_a_page_of_all(
    small_cnn: Path, wide_cnn: Path, image_folder: Path, tmp_path: Path, rockpress: Run
) -> None:
    recipe = tmp_path / "rockpress.toml"
    recipe.write_text(
        f'calib = "{image_folder}"\nscheme = "float16"\n'
        f'[models.small]\nmodel = "{small_cnn}"\n[models.wide]\nmodel = "{wide_cnn}"\n'
    )
    page, text = tmp_path / "pages" / "all.html", tmp_path / "pages" / "all.md"
    page.parent.mkdir()
    line = ["run", recipe, "-o", tmp_path / "build", "--report", page, "--report", text, "--quiet"]
    code, _, err = rockpress(*line)
    assert code == 0, err
    for name in ("small", "wide"):
        assert f'<a href="all-{name}.html">{name}</a>' in page.read_text()
        assert (page.parent / f"all-{name}.html").is_file()
        assert f"| {name} |" in text.read_text()
    code, out, _ = rockpress("compare", tmp_path / "build")
    assert code == 0 and out.startswith("2 results")
