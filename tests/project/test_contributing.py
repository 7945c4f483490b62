"""The recipes of CONTRIBUTING.md are followed in a copy of the package, and its commands run."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from textwrap import indent
from typing import Any

import onnx
import pytest

from exports import with_metadata

pytestmark = pytest.mark.toolkit

# "# file.py" for a new file, "# file.py, in NAME" for what is added to a class or a table
HEAD = re.compile(r"# ([a-z_/]+\.py)(?:, in (\w+))?\n")
CHIP, METHOD, METRIC, OPTION = "chip", "quantization method", "metric", "option"
FORMAT, FAMILY = "report format", "family of models"


def recipe_of(page: str, subject: str) -> str:
    """Return the section of the page about something new."""
    start = re.search(rf"^### An? {subject}$", page, re.MULTILINE)
    assert start, subject
    return re.split(r"^##", page[start.end() :], maxsplit=1, flags=re.MULTILINE)[0]


def name_of(node: ast.stmt) -> str:
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return node.target.id
    return node.name if isinstance(node, ast.ClassDef) else ""


def with_added(source: str, name: str, addition: str) -> str:
    """Return the source with a field added to a class, or an entry to a table, as the last."""
    (node,) = (node for node in ast.parse(source).body if name_of(node) == name)
    assert node.end_lineno
    lines = source.splitlines(keepends=True)
    is_table = not isinstance(node, ast.ClassDef)
    end = node.end_lineno - is_table  # before the bracket
    ending = ",\n" if is_table else "\n"
    return "".join([*lines[:end], indent(addition.rstrip() + ending, " " * 4), *lines[end:]])


class Copy:
    """The package in a folder of its own, and its command line."""

    def __init__(self, root: Path, folder: Path) -> None:
        self.folder = folder
        self.package = folder / "rockpress"
        self._root = root
        unwanted = shutil.ignore_patterns("__pycache__")
        rooms = [path.parent for path in root.glob("*/__init__.py")]
        for source in (*rooms, root / "docs"):
            shutil.copytree(source, self.package / source.name, ignore=unwanted)
        for source in (*root.glob("*.py"), root / "py.typed"):
            shutil.copy(source, self.package)

    def follow(self, subject: str) -> None:
        """Do what the page says of something new; the tests that it names are there."""
        recipe = recipe_of((self._root / "CONTRIBUTING.md").read_text(), subject)
        (block,) = re.findall(r"```python\n(.*?)```", recipe, re.DOTALL)
        head = HEAD.match(block)
        assert head, block
        file = self.package / head[1]
        if head[2]:
            file.write_text(with_added(file.read_text(), head[2], block[head.end() :]))
        else:
            assert not file.exists()
            file.write_text(block)
        tests = re.findall(r"`(tests/[a-z_/]+\.py)`", recipe)
        assert tests and all((self._root / test).is_file() for test in tests)

    def python(self, *words: str, code: int = 0) -> str:
        """Run Python with the copy in front, and return what it printed."""
        done = subprocess.run(
            [sys.executable, *words],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(self.folder), "COLUMNS": "200"},
            capture_output=True,
            text=True,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def rockpress(self, *words: str, code: int = 0) -> str:
        """Run a command, and return what it printed."""
        return self.python("-m", "rockpress", *words, code=code)


@pytest.fixture
def copy(root: Path, tmp_path: Path) -> Copy:
    return Copy(root, tmp_path)


def test_the_copy_is_what_runs(copy: Copy) -> None:
    path = copy.python("-c", "import rockpress; print(rockpress.__file__)")
    assert Path(path.strip()) == copy.package / "__init__.py"


@pytest.mark.usefixtures("wide_cnn", "image_folder")
def test_a_chip_is_a_row_of_a_table(copy: Copy) -> None:
    prune = ("prune", "wide_cnn.onnx", "--calib", "images", "-o", "pruned.onnx", "--json")
    budget = ("--target", "made-up-chip", "--prune", "cycles=-10%")
    assert "unknown target 'made-up-chip'" in copy.rockpress(*prune, *budget, code=2)
    copy.follow(CHIP)
    copy.rockpress(*prune, *budget, "--quiet")
    assert (copy.folder / "pruned.onnx").is_file()


@pytest.mark.usefixtures("small_cnn", "image_folder")
def test_a_method_is_a_file(copy: Copy) -> None:
    quantize = ("quantize", "small_cnn.onnx", "--calib", "images", "-o", "int8.onnx", "--quiet")
    assert "'made-up' is not one of" in copy.rockpress(*quantize, "--method", "made-up", code=2)
    copy.follow(METHOD)
    assert "made-up" in copy.rockpress("quantize", "--help")
    assert "quantized by made-up" in copy.rockpress(*quantize, "--method", "made-up")
    assert 'source = "nine-tenths"' in (copy.folder / "int8.plan.toml").read_text()


def document_of(printed: str) -> Any:
    """Return the JSON document that warnings follow."""
    return json.JSONDecoder().raw_decode(printed)[0]


@pytest.mark.usefixtures("small_cnn", "labelled_folder")
def test_a_metric_is_a_file(copy: Copy) -> None:
    check = ("check", "small_cnn.onnx", "small_cnn.onnx", "--eval", "labelled", "--quiet", "--json")
    assert "'made-up' is not known" in copy.rockpress(*check, "--metric", "made-up", code=2)
    copy.follow(METRIC)
    report = document_of(copy.rockpress(*check, "--metric", "made-up"))
    (target,) = report["targets"]
    assert target["retention"]["metric"] == "reciprocal-rank"
    whole = target["models"][0]["accuracy"]["value"]
    assert 0.1 < whole < 1 == target["retention"]["value"]
    more = ("--metric", "made-up", "--metric-option")
    report = document_of(copy.rockpress(*check, *more, "depth=2"))
    assert 0 < report["targets"][0]["models"][0]["accuracy"]["value"] < whole
    assert "depth=x: not a" in copy.rockpress(*check, *more, "depth=x", code=2)


@pytest.mark.usefixtures("small_cnn")
def test_a_family_of_models_is_a_file(copy: Copy) -> None:
    model = onnx.load(copy.folder / "small_cnn.onnx")
    onnx.save(with_metadata(model, trainer="made-up"), copy.folder / "theirs.onnx")
    assert "family" not in copy.rockpress("inspect", "theirs.onnx")
    copy.follow(FAMILY)
    line = "family made-up: color bgr, mean 104,117,123 from its metadata; resize crop as a guess"
    assert line in copy.rockpress("inspect", "theirs.onnx")
    assert "family" not in copy.rockpress("inspect", "small_cnn.onnx")


@pytest.mark.usefixtures("small_cnn", "labelled_folder")
def test_a_report_format_is_a_file(copy: Copy) -> None:
    check = ("check", "small_cnn.onnx", "small_cnn.onnx", "--eval", "labelled", "--quiet")
    report = ("--report", "x.made")
    assert "'x.made' does not end in one of" in copy.rockpress(*check, *report, code=2)
    copy.follow(FORMAT)
    copy.rockpress(*check, *report)
    assert re.fullmatch(r"None (1\.0|None)\n", (copy.folder / "x.made").read_text())


@pytest.mark.usefixtures("small_cnn", "image_folder")
def test_an_option_is_a_field(copy: Copy) -> None:
    copy.follow(OPTION)
    for verb in ("run", "quantize"):
        assert "--made-up-option V" in copy.rockpress(verb, "--help")
    recipe = copy.folder / "rockpress.toml"
    recipe.write_text('model = "small_cnn.onnx"\ncalib = "images"\nmade-up-option = 2\n')
    copy.rockpress("run", recipe.name, "--dry-run")
    recipe.write_text('model = "small_cnn.onnx"\ncalib = "images"\nmade-up-option = 0\n')
    assert "made-up-option: 0 is not a number from 1 up" in copy.rockpress(
        "run", recipe.name, "--dry-run", code=2
    )
    value = 'rockpress.make_recipe("m.onnx", made_up_option=2).quantize.made_up_option'
    assert copy.python("-c", f"import rockpress; print({value})") == "2.0\n"
    for script in ("cli_reference.py", "recipe_reference.py"):
        copy.python(str(copy.package / "docs" / script))
    pages = copy.package / "docs"
    assert "--made-up-option V" in (pages / "command-line.md").read_text()
    assert "| `made-up-option` | number |" in (pages / "recipe.md").read_text()
    schema = json.loads((pages / "rockpress.schema.json").read_text())
    assert schema["properties"]["made-up-option"]["minimum"] == 1
