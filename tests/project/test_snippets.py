"""Every block of every page is read as what it is for, with the files that it names.

An indented block is what one types; all else is fenced and says its language. Commands go through
the parser of their command, runs through --dry-run, recipes through the model of a recipe. What
test_docs.py and test_how_to.py run is in RUN_ELSEWHERE; "make soak" runs the other pages.
"""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass, replace
from importlib import import_module
from importlib.metadata import files
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import typer
from markdown_it import MarkdownIt
from PIL import Image
from ruamel.yaml import YAML

from commands import Run
from graphs import model_of
from rockpress.accuracy.prediction_difference import difference_of
from rockpress.accuracy.retention import Retention, too_few_samples
from rockpress.cli.main import COMMANDS
from rockpress.convert.latency.coefficients import Coefficients
from rockpress.convert.latency.estimate import _parts
from rockpress.convert.latency.timed_runs import read_record
from rockpress.convert.latency.work import Work
from rockpress.core.results import (
    family_figure,
    layer_rows,
    model_figures,
    part_figures,
    pruning_figures,
    report,
    sample_rows,
)
from rockpress.core.results.model_figures import LatencyFigure, ModelRow, Ratios, RetentionFigure
from rockpress.core.results.prediction_rows import PredictionReport, SamplePrediction
from rockpress.core.results.predictions import PredictedClasses, ScoredClass
from rockpress.pipeline.recipes.recipe_file import read_jobs
from rockpress.pipeline.stages.stage_list import STAGES
from rockpress.report.comparison.comparison_text import comparison_tables
from rockpress.report.comparison.opened_results import results_of
from rockpress.report.comparison.side_by_side import side_by_side
from rockpress.report.documents.document import NAMES, NEVER, to_document
from rockpress.report.documents.report_reader import read_report
from rockpress.report.text.changes import changes_lines
from rockpress.report.text.difference_text import sample_lines, summary_line
from rockpress.report.text.verdict import judgement_line
from trained_exports import silero

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
GENERATED = "<!-- What follows is written by"
TEXT_MODELS = [f"ch_PP-OCRv4_{kind}_infer.onnx" for kind in ("det", "rec")]
RUN_ELSEWHERE = {
    *("README.md", "accuracy-dropped.md", "audio.md", "calibration-set.md", "ci.md", "make.md"),
    *("many-machines.md", "ocr.md", "python-api.md", "several-chips.md", "tutorial.md", "tune.md"),
    *("results.md", "tune-cluster.md", "yolo.md"),
}
# with a board that a stand-in plays: test_bench.py, test_board_code.py and test_check_on_board.py
ON_A_BOARD = {"accuracy.md", "bench.md", "on-the-board.md"}
# What a page supposes to be there, beside model.onnx, images/ and labelled/.
SUPPOSED = {
    "accuracy.md": ["build/rk3588/model.rknn"],
    "bench.md": ["build/rk3588/model.rknn", "new.onnx", "runs.json"],
    "audio.md": ["vad.onnx", "frames.npy", "vad.npz", "build/rk3588/vad.rknn"],
    "inspect.md": ["model.rknn"],
    "measured.md": ["old.onnx", "new.onnx"],
    "ocr.md": [
        "det.onnx",
        "rec.onnx",
        "pages/calib/",
        "pages/eval/",
        "lines/calib/",
        "lines/eval/",
        "build/rec/rk3588/rec.rknn",
    ],
    "recipe.md": ["detector.onnx", "reader.onnx"],
    "on-the-board.md": ["yolo.onnx", "frames/", "val/", "build/rk3588/yolo.rknn"],
    "predict.md": ["build/rk3588/model.rknn"],
    "report.md": ["build/rk3588/model.rknn"],
    "toolkit-versions.md": ["tk232/bin/python"],
    "yolo.md": ["yolo.onnx", "frames/", "val/"],
}
FRAMES = np.random.default_rng(0).normal(size=(8, 576)).astype(np.float32)
WRITTEN = ("output", "report", "depfile")
_ROW = ModelRow("rknn", None, 100, latency=(LatencyFigure("npu-estimate", 1.0, cycles=1),))
_RETENTION = RetentionFigure("top1", 1.0, 0.9, 1.1, 10, 1.0, 30.0)
REPORT = to_document(
    report.Report(
        report.ToolVersion("rockpress"),
        report.ToolVersion("rknn-toolkit2"),
        {},
        (report.TargetReport("rk3588", (_ROW,), _RETENTION, Ratios(), None),),
    )
)


def blocks_of(page: Path) -> Iterator[tuple[str, str]]:
    """Language ("" for what is indented) and text, without what a script has written."""
    for token in MarkdownIt().parse(page.read_text().split(GENERATED)[0]):
        if token.type in ("fence", "code_block"):
            yield token.info, token.content


def commands_of(text: str) -> Iterator[list[str]]:
    """The words of each command, without settings before it and what is redirected."""
    for line in text.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        ends = ""
        for operator, words in groupby(lexer, lambda word: word[0] in "();<>|&"):
            command = list(words)
            if operator:
                ends = command[-1]
                continue
            while command and re.match(r"[A-Za-z_]+=", command[0]):
                command.pop(0)
            if command and ends[:1] not in ("<", ">"):
                yield command


def command_of(verb: str) -> Any:
    return typer.main.get_command(import_module(f"rockpress.cli.commands.{verb}").app)


def is_hidden(param: Any) -> bool:
    """Whether help does not show it: a name of earlier versions."""
    return getattr(param, "hidden", False)


def as_installed(text: str) -> str:
    """Return commands without what asks for PyTorch, where there is none."""
    return text if find_spec("torch") else re.sub("--(recover|train) distill", "", text)


class Reader:
    """Reads the blocks of a page in a folder with what it supposes; one method a language."""

    def __init__(self, page: Path, folder: Path, rockpress: Run) -> None:
        self._page = page.name
        self._folder = folder
        self._rockpress = rockpress

    def read(self, language: str, text: str) -> None:
        name = {"": "typed", "{toctree}": "toctree"}.get(language, language)
        assert hasattr(self, name), f"{self._page}: no category for {language!r}:\n{text}"
        getattr(self, name)(text)

    # what is run

    def typed(self, text: str) -> None:
        for command in commands_of(text):
            program = f"{Path(command[0]).name.replace('-', '_')}_"
            assert hasattr(self, program), f"{self._page}: {command} is not known"
            getattr(self, program)(*command[1:])

    def sh(self, text: str) -> None:
        subprocess.run(["bash", "-n"], input=text, text=True, check=True)
        known = [words for words in commands_of(text) if hasattr(self, f"{words[0]}_")]
        assert known, text
        for words in known:
            getattr(self, f"{words[0]}_")(*words[1:])

    def console(self, text: str) -> None:
        """Of what is typed on a board only its form can be read."""
        assert self._page == "on-the-board.md"
        subprocess.run(["bash", "-n"], input=text, text=True, check=True)

    def rockpress_(self, verb: str, *words: str) -> None:
        command = command_of(verb)
        given = command.make_context(verb, list(words)).params
        old = [param.name for param in command.params if is_hidden(param) and given[param.name]]
        assert not old, f"{self._page}: {old}"
        for name, value in given.items():
            if isinstance(value, Path) and name not in WRITTEN and value.name != str(value):
                assert value.exists(), f"{self._page}: {value}"
        if verb == "compare":
            code, out, err = self._rockpress(verb, *words)
            assert code == 0, f"{self._page}: {' '.join(words)}\n{out}{err}"
        if verb == "init" or (verb == "run" and self._page not in RUN_ELSEWHERE | ON_A_BOARD):
            more = ["--dry-run"] if verb == "run" else []
            text = shlex.join(words)
            code, out, err = self._rockpress(verb, *shlex.split(as_installed(text)), *more)
            assert code == 0, f"{self._page}: {' '.join(words)}\n{out}{err}"
        is_recipe = verb == "run" and Path(given["model"]).suffix == ".toml"
        output = given.get("output") or ("build" if is_recipe else None)
        if verb != "init" and output:
            self._stand_in(verb, Path(given["model"]), Path(output))

    def _stand_in(self, verb: str, model: Path, output: Path) -> None:
        """For what the command would have written."""
        if verb == "run":
            output.mkdir(exist_ok=True, parents=True)
            (output / "report.json").write_text(json.dumps(REPORT))
            for chip in ("rk3588", "rv1106"):
                (output / chip).mkdir(exist_ok=True)
                (output / chip / f"{model.stem}.rknn").touch()
        elif verb == "tune":
            output.mkdir(exist_ok=True, parents=True)
            (output / "chosen.toml").write_text(f'model = "{model.absolute()}"\n')
        else:
            shutil.copy(model, output)

    def python_(self, *words: str) -> None:
        is_module = words[0] == "-m"
        script = ROOT / (f"{words[1].replace('.', '/')}.py" if is_module else words[0])
        assert script.is_file()
        for option in (word for word in words[1 + is_module :] if word.startswith("--")):
            assert f'"{option}"' in script.read_text()

    def make_(self, *targets: str) -> None:
        if not (self._folder / "Makefile").exists():  # that of the repository
            assert all(f"\n{name}:" in (ROOT / "Makefile").read_text() for name in targets)
            return
        done = subprocess.run(["make", "-n", *targets], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    def pip_(self, _install: str, package: str) -> None:
        extras = re.fullmatch(r"rockpress\[([a-z,]+)\]", package)
        assert extras, package
        for extra in extras[1].split(","):
            assert f"\n{extra} = [" in (ROOT / "pyproject.toml").read_text()

    def dask_(self, command: str, *words: str) -> None:
        module = import_module(f"distributed.cli.dask_{command}")
        module.main.make_context(command, list(words))

    def optuna_dashboard_(self, *storages: str) -> None:
        """It is no package of ours: what it opens is what a search has written."""
        (storage,) = storages
        assert f"--optuna-storage {storage}" in (ROOT / "docs" / self._page).read_text()

    def uv_(self, *words: str) -> None:
        assert words[:2] == ("pip", "install") or words[0] == "venv"
        if "-r" in words:
            assert (ROOT / words[words.index("-r") + 1]).is_file()

    def cat_(self, *files: str) -> None:
        assert set(files) <= {"report.md", "build/summary.md"}

    # what is written into a file

    def toml(self, text: str) -> None:
        Path("rockpress.toml").write_text(text)
        for job in read_jobs(Path("rockpress.toml")):
            for path in (job.recipe.model, job.recipe.samples.calib, job.recipe.samples.eval):
                assert path is None or path.exists(), path

    def make(self, text: str) -> None:
        (self._folder / "Makefile").write_text(text)
        self.make_()
        for line in re.findall(r"^\trockpress (.*)$", text, re.MULTILINE):
            self.rockpress_(*line.split())

    def yaml(self, text: str) -> None:
        document = YAML(typ="safe").load(text)
        (job,) = (one for one in document.get("jobs", document).values() if isinstance(one, dict))
        lines = job.get("script") or [step["run"] for step in job["steps"] if "run" in step]
        for line in lines:
            if "pip install" not in line:
                self.sh(line)

    def python(self, text: str) -> None:
        """Of a block whose first line says which file it is, imports are from its folder."""
        folder = re.match(r"# ([a-z_/]+)/\w+\.py", text)
        package = f"rockpress.{folder[1].replace('/', '.')}" if folder else None
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                exec(ast.unparse(node), {"__package__": package})

    # what is shown

    def toctree(self, text: str) -> None:
        for name in text.split("\n\n", 1)[1].split():
            assert (ROOT / "docs" / f"{name}.md").is_file()

    def xml(self, text: str) -> None:
        ElementTree.fromstring(text)
        assert self._page == "report.md"  # test_report_formats.py holds it against the program

    def markdown(self, text: str) -> None:
        assert text and self._page == "report.md"  # as well

    def json(self, text: str) -> None:
        (self._folder / "runs.json").write_text(text)
        assert read_record(self._folder / "runs.json")

    def text(self, text: str) -> None:
        start = next((start for start in SHOWN if text.startswith(start)), None)
        (SHOWN[start] if start else messages)(text)


# Texts that the program shows


def wordings(path: Path) -> Iterator[str]:
    """The texts in a file of code, with anything in place of values."""
    for node in ast.walk(ast.parse(path.read_text())):
        values = node.values if isinstance(node, ast.JoinedStr) else [node]
        parts = [getattr(one, "value", None) for one in values]
        if sum(len(part) for part in parts if isinstance(part, str)) >= 8:
            yield "".join(re.escape(one) if isinstance(one, str) else ".*" for one in parts)


def is_said(message: str) -> bool:
    """Whether the code has these words, maybe after the name of a chip."""
    words = message.split()
    runs = [" ".join(words[start : start + 3]) for start in range(len(words) - 2)]
    files = [path for room in ROOT.glob("*/__init__.py") for path in room.parent.rglob("*.py")]
    near = [path for path in files if any(run in path.read_text() for run in runs)]
    said = (message, message.partition(": ")[2])
    return any(re.fullmatch(one, text) for path in near for one in wordings(path) for text in said)


def differences_shown(text: str) -> None:
    """What predict says of two classifiers: a line a sample, and how many differ."""
    *rows, last = text.splitlines()

    def row_of(line: str) -> SamplePrediction:
        match = re.fullmatch(r"(.*): class (\d) (\d\.\d\d) -> class (\d) (\d\.\d\d)", line)
        assert match, line
        first, second = (
            PredictedClasses((ScoredClass(int(index), f"class {index}", float(score)),))
            for index, score in (match.group(2, 3), match.group(4, 5))
        )
        difference = difference_of(first, second, 0)
        assert sample_lines(SamplePrediction(match[1], first, second, difference)) == [line]
        return SamplePrediction(match[1], first, second, difference)

    samples = [row_of(line) for line in rows]
    same = difference_of(samples[0].prediction, samples[0].prediction, 0)
    samples += [replace(samples[0], difference=same)] * (1000 - len(rows))
    report = PredictionReport(Path("a"), Path("b"), "top1", 0, tuple(samples))
    assert summary_line(report) == last


def search_shown(text: str) -> None:
    """What tune says: the columns of its screen, and a point of the front in each row."""
    known = (ROOT / "tests" / "report" / "screens" / "tune.txt").read_text().split()
    table = text.partition("the front: ")[2].splitlines()[1:]
    rule = next(
        index
        for index, line in enumerate(table)
        if line.startswith("\N{BOX DRAWINGS LIGHT HORIZONTAL}")
    )
    assert set(" ".join(table[:rule]).split()) <= {*known}
    assert table[rule + 1 :] and all(
        re.match(r"\d+\*? (\(start\) )?scheme ", line) for line in table[rule + 1 :]
    )


def plan_shown(text: str) -> None:
    """What a dry run says: a line a stage, with words of its own."""
    sources = [ROOT / "pipeline" / "dry_run.py", *(ROOT / "pipeline" / "stages").glob("*.py")]
    said = [wording for source in sources for wording in wordings(source)]
    names = {"baseline", *(stage.name for stage in STAGES)}
    for line in text.splitlines()[1:-1]:
        name, status, what = line.split(maxsplit=2)
        assert name in names and status in ("run", "cached")
        assert any(re.match(one, what) for one in said), line


def messages(text: str) -> None:
    for line in re.sub(r"\n\[", " [", text).splitlines():
        message = re.fullmatch(r"(?:error|hint|warning): (.*?)(?: \[[a-z-]+\])?", line)
        assert message, f"no category for:\n{text}"
        assert is_said(message[1]), line


def comparison_shown(text: str) -> None:
    """What compare prints has the columns of today."""
    found = side_by_side(results_of(read_report(REPORT), "a", "a"), lambda kind: 1.0)
    (table,) = comparison_tables(found)
    assert {*table.headings} - {"model", "target"} <= {*text.splitlines()[1].split()} | {"scheme"}


def document(text: str) -> None:
    """Names every field of a result, and nothing that is none."""
    named = set(re.findall(r'"([a-z_]+)"', text))
    modules = (
        family_figure,
        layer_rows,
        model_figures,
        part_figures,
        pruning_figures,
        report,
        sample_rows,
    )
    kinds = {kind for module in modules for kind in vars(module).values() if is_dataclass(kind)}
    names = {NAMES.get(field.name, field.name) for kind in kinds for field in fields(kind)}
    names -= {"more", *(name for lacking in NEVER.values() for name in lacking)}
    assert names <= named, names - named


def documents_of_targets(text: str) -> None:
    source = (ROOT / "cli" / "commands" / "convert.py").read_text()
    assert all(f'"{name}"' in source for name in re.findall(r'"([a-z]+)"', text))


def formula(text: str) -> None:
    work = {"compute": 0.2, "output": 0.3, "activation": 0.1, "moved": 0.4, "read": 0.6}
    work |= {"scores": 0.7, "launch": 0.5}
    fit = Coefficients(1, 1, 1, 1, 1, 1, 1, 1, host=0, handover=0)
    expected = sum(_parts(Work(**work), fit).values())
    assert eval(text.partition("=")[2].replace("^", "**"), work) == pytest.approx(expected)


def rooms_of_the_package(text: str) -> None:
    named = set(re.findall("[a-z_]+", text))
    assert named == {path.parent.name for path in ROOT.glob("*/__init__.py")}


def since(text: str) -> None:
    units = {"kB": 1000.0, "k": 1000.0, "ms": 1.0, "%": 0.01, None: 1.0}
    figure = r"([\d.]+) ?(kB|k|ms|%)?"
    changes = []
    for name, *told in re.findall(rf"([a-z]+) {figure} to {figure}", text):
        before, after = (
            float(number) * units[unit or None]
            for number, unit in zip(told[::2], told[1::2], strict=True)
        )
        changes.append(report.ChangeFigure(name, before, after, after / before - 1))
    tool = report.ToolVersion("rockpress")
    earlier = report.EarlierReport("release/report.json", "pass", tool, tool)
    (line,) = changes_lines(earlier, tuple(changes))
    # what was rounded for the page may be off by one in the last digit
    shown = [re.sub(r"\d\.\d%", "%", one) for one in (line, text.strip())]
    assert shown[0] == shown[1]


def verdicts(text: str) -> None:
    """What the first line may be: of dead scores, of too few samples, and without a gate."""
    scores = part_figures.PartFigure("output0", "/model.22/Sigmoid_output_0", 9, 0, 0, True)
    logits = part_figures.PartFigure("y", "y", 9, 21.3, 1, True)
    dead = report.GateFigure(report.ALIVE, 0.01, 0, False)
    alive = report.GateFigure(report.ALIVE, 0.01, 1, True)
    retained = report.GateFigure("min-retention", 0.98, 1, True)
    lines = text.splitlines()
    assert lines[0] == str(judgement_line(report.Judgement((dead,), (scores,))))
    doubt = lines[1].partition("; ")[2]
    assert lines[1] == str(judgement_line(report.Judgement((retained,), ()), doubts=[doubt]))
    few = too_few_samples(Retention(1.0, 0.9, 1.1, 20, 0.0), 0.98)
    assert few is not None and few.text.startswith(doubt.removesuffix(" ..."))
    assert lines[2] == str(judgement_line(report.Judgement((alive,), (logits,))))


SHOWN: dict[str, Callable[[str], None]] = {
    '{"schema": 1, "verdict"': document,
    '{"schema": 1, "targets"': documents_of_targets,
    "ms = (": formula,
    "ms = factor": lambda text: None,  # test_latency_application.py
    "cli -> ": rooms_of_the_package,
    "since ": since,
    "rk3588 -> ": plan_shown,
    "2 results\n": comparison_shown,
    "PASS rk3588: 99.7% of top1 kept (98.4": search_shown,
    # held against what the program says elsewhere
    "FAIL: ": verdicts,
    "[output-parts-apart]": lambda text: None,  # test_quantize_joined.py
    "::error": lambda text: None,  # test_report_formats.py
    "images.npz[": differences_shown,
    "net.rknn on Stand-in Board": lambda text: None,  # test_bench_text.py
    "rockpress: baseline (": lambda text: None,  # test_progress_screen.py
    "rockpress: family ": lambda text: None,  # test_filled_recipe.py
}


def any_image_to_as_many() -> onnx.ModelProto:
    """(n, 3, h, w) -> the same, under a name that docs/recipe.md has."""
    text = """(float[n,3,h,w] x) => (float[n,3,h,w] "softmax_11.tmp_0") {
        "softmax_11.tmp_0" = Relu (x) }"""
    return model_of(text, prepared=False)


def write_samples(images: Path, folder: Path) -> None:
    """With texts, or boxes, where they are to measure on."""
    boxes = folder.parts[-2:] == ("pages", "eval")
    shutil.copytree(images, folder / "images" if boxes else folder)
    names = [path.name for path in sorted(images.iterdir())]
    if boxes:
        (folder / "labels").mkdir()
        (folder / "labels" / names[0]).with_suffix(".txt").write_text("0 0.5 0.5 0.2 0.2\n")
    elif folder.name == "eval":
        (folder / "labels.csv").write_text("path,label\n" + ",ab\n".join([*names, ""]))


@pytest.fixture
def supposed(page: Path, small_cnn: Path, tmp_path: Path) -> Path:
    """A folder with what the page supposes."""
    small_cnn.rename(tmp_path / "model.onnx")
    for name in SUPPOSED.get(page.name, ()):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("/"):
            write_samples(tmp_path / "images", path)
        elif path.suffix == ".onnx":
            onnx.save(silero() if name == "vad.onnx" else any_image_to_as_many(), path)
        elif path.suffix == ".npy":
            np.save(path, FRAMES)
        elif path.suffix == ".npz":
            np.savez(path, input=FRAMES, labels=np.arange(len(FRAMES)) % 2)
        else:
            path.write_text("a\nb\n")
    return tmp_path


@pytest.mark.usefixtures("image_folder", "labelled_folder")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_can_be_used(
    page: Path, supposed: Path, rockpress: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(supposed)
    reader = Reader(page, supposed, rockpress)
    for language, text in blocks_of(page):
        reader.read(language, text)


# Commands and options in running text


NO_OPTIONS_OF_COMMANDS = {"--help", "--quick", "--install-completion", "--made-up-option"}
OPTIONS_ELSEWHERE = {"--host", "--nthreads", "--nworkers", "--simulate"}  # dask, benchmarks


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_options_that_the_text_names_exist(page: Path) -> None:
    commands = {verb: command_of(verb) for verb in COMMANDS}
    params = [param for command in commands.values() for param in command.params]
    known = {name for param in params if not is_hidden(param) for name in param.opts}
    text = re.sub(r"```.*?```", "", page.read_text().split(GENERATED)[0], flags=re.DOTALL)
    for code in re.findall(r"`([^`\n]+)`", text):
        program, _, rest = code.partition(" ")
        verb, *words = shlex.split(rest) or [""]
        if program == "rockpress" and verb in commands:
            try:
                commands[verb].make_context(verb, words)
            except typer.BadParameter as error:  # but what is left out cannot be wrong
                assert type(error).__name__ == "MissingParameter", error
        elif program.startswith("--"):
            assert program in known | NO_OPTIONS_OF_COMMANDS | OPTIONS_ELSEWHERE, code


# All of it, for "make soak"

BEFORE = {
    "compare.md": "",
    "conversion.md": "",
    "inspect.md": "rockpress convert model.onnx -o model.rknn",
    "last-release.md": "",
    "latency.md": "",
    "measured.md": "cp model.onnx old.onnx; cp model.onnx new.onnx",
    "predict.md": "rockpress run model.onnx --calib images --eval labelled -o build",
    "pruning.md": "",
    # mixed precision asks for ten samples, training for forty
    "quantization.md": "for n in {8..59}; do cp images/0.png images/$n.png; done",
    "recipe.md": "",
    "report.md": "rockpress run model.onnx --calib images --eval labelled -o build",
    "toolkit-measured.md": "",
    "toolkit-versions.md": "",
}
# takes hours, or asks for what "make setup" leaves out
NOT_HERE = ("python benchmarks/conversion.py", "pip install 'rockpress[distill]'")


def shell(text: str) -> None:
    kept = [
        line
        for line in text.splitlines()
        if not line.startswith(NOT_HERE) and "--board ssh://" not in line  # there is no board
    ]
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", "\n".join(kept)], text=True)
    assert done.returncode == 0, text


def label_by_the_model(model: Path, folder: Path) -> None:
    """labels.csv with the model's own answers, so that its accuracy is 1."""
    import onnxruntime

    paths = sorted(folder.rglob("*.png"))
    images = [np.asarray(Image.open(path).resize((32, 32)), np.float32) for path in paths]
    batch = np.stack(images).transpose(0, 3, 1, 2)
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    found = [int(session.run(None, {"x": one[None]})[0].argmax()) for one in batch]
    rows = [
        f"{path.relative_to(folder)},{label}\n" for path, label in zip(paths, found, strict=True)
    ]
    (folder / "labels.csv").write_text("path,label\n" + "".join(rows))


@pytest.fixture
def whole(
    wide_cnn: Path, labelled_folder: Path, tools: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A folder with real models, and what the repository has, as it is seen from its root."""
    folder = wide_cnn.parent
    wide_cnn.rename(folder / "model.onnx")
    label_by_the_model(folder / "model.onnx", labelled_folder)
    packaged = [Path(str(one.locate())) for one in files("rapidocr-onnxruntime") or []]
    for real, name in zip(TEXT_MODELS, ("detector.onnx", "reader.onnx"), strict=True):
        (path,) = (one for one in packaged if one.name == real)
        shutil.copy(path, folder / name)
    for name in (".venv", "benchmarks", "convert", "examples"):
        (folder / name).symlink_to(ROOT / name)
    paths = [str(tools), str(Path(sys.executable).parent), os.environ["PATH"]]
    monkeypatch.setenv("PATH", os.pathsep.join(paths))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(folder / "summary"))
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.soak
@pytest.mark.usefixtures("image_folder")
@pytest.mark.parametrize("name", BEFORE)
def test_every_command_of_the_other_pages_runs(name: str, whole: Path) -> None:
    shell(BEFORE[name])
    for language, text in blocks_of(ROOT / "docs" / name):
        if language in ("", "sh"):
            shell(as_installed(text))
        elif language == "python":
            exec(text, {"model": onnx.load(str(whole / "model.onnx"))})
        elif language == "toml":
            (whole / "rockpress.toml").write_text(text)
        elif language == "make":
            (whole / "Makefile").write_text(text)
            shell("make")


def test_every_page_is_run() -> None:
    pages = {page.name: [language for language, _ in blocks_of(page)] for page in PAGES}
    with_commands = {name for name, kinds in pages.items() if {"", "sh", "python"} & {*kinds}}
    assert with_commands - {"CONTRIBUTING.md"} == {*BEFORE} | RUN_ELSEWHERE | ON_A_BOARD
