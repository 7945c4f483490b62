"""The documentation says what is true: its commands run, its output is what comes out."""

from __future__ import annotations

import re
import runpy
import shlex
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from PIL import Image

import rockpress
from commands import Run
from rockpress.accuracy.metrics.metric_names import metric_modules
from rockpress.calibration_data.bundled import CALIBRATION, MODEL, TEST, sample_path
from rockpress.core.diagnostics import python_phrase, speaking
from rockpress.pipeline.families import OFF, family_names
from rockpress.pipeline.options.option_table import GROUPS, old_names, options_of, renamed
from rockpress.quantize.choices.names import AUTO, method_names
from rockpress.report.formats import format_suffixes
from samples import save_images

pytestmark = pytest.mark.toolkit

ROOT = Path(__file__).parents[2]
ROOMS_THAT_WARN = ("calibration_data", "convert", "pipeline", "quantize", "report")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
# what is one of several files, by what CONTRIBUTING.md calls it; each has a row in a table
NAMES = {
    "quantization method": [name for name in method_names() if name != AUTO],
    "metric": list(metric_modules()),
    "family of models": [name for name in family_names() if name not in (AUTO, OFF)],
    "report format": list(format_suffixes()),
}
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def with_normalisation(path: Path) -> None:
    """The demo model for pixels as they are, so that no --mean and --std need be given."""
    model = onnx.load(str(sample_path(MODEL)))
    name = model.graph.input[0].name
    scaled = [
        helper.make_node("Sub", [name, "mean"], ["centred"]),
        helper.make_node("Div", ["centred", "std"], ["scaled"]),
    ]
    for node in model.graph.node:
        node.input[:] = ["scaled" if one == name else one for one in node.input]
    for position, node in enumerate(scaled):
        model.graph.node.insert(position, node)
    for constant, value in (("mean", 73.0), ("std", 90.0)):
        tensor = numpy_helper.from_array(np.full((1, 1, 1, 1), value, np.float32), constant)
        model.graph.initializer.append(tensor)
    onnx.save(model, str(path))


@pytest.fixture(scope="module")
def own_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with model.onnx, images/ and labelled/, as the README supposes."""
    folder = tmp_path_factory.mktemp("own")
    with_normalisation(folder / "model.onnx")
    save_images(folder / "images", np.load(sample_path(CALIBRATION))["images"][:32])
    test = np.load(sample_path(TEST))
    for index, (image, label) in enumerate(zip(test["images"], test["labels"], strict=True)):
        if index < 100:
            (folder / "labelled" / str(label)).mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(folder / "labelled" / str(label) / f"{index}.png")
    return folder


def commands_of(page: Path) -> list[str]:
    return re.findall(r"^    (rockpress .*)$", page.read_text(), re.MULTILINE)


@pytest.mark.parametrize(
    ("page", "least", "files"),
    [
        ("README.md", 7, ["build/rk3588/model.rknn", "model.rknn"]),
        ("docs/tutorial.md", 5, ["rockpress.toml", "build/report.html"]),
        ("docs/accuracy-dropped.md", 4, ["float16/rk3588/model.rknn"]),
    ],
)
def test_the_commands_of_a_page_run_as_they_stand(
    page: str,
    least: int,
    files: list[str],
    own_files: Path,
    rockpress: Run,
    monkeypatch: pytest.MonkeyPatch,
    pages_cache: str,
) -> None:
    """With one cache for all pages: what one has built, the next need not."""
    monkeypatch.chdir(own_files)
    monkeypatch.setenv("ROCKPRESS_CACHE_DIR", pages_cache)
    commands = commands_of(ROOT / page)
    assert len(commands) >= least
    for command in commands:
        code, out, err = rockpress(*shlex.split(command)[1:])
        assert code == 0, f"{command}\n{out}\n{err}"
    assert [name for name in files if not (own_files / name).is_file()] == []


def test_the_help_in_the_reference_is_what_the_commands_print() -> None:
    script = runpy.run_path(str(ROOT / "docs" / "cli_reference.py"))
    written = script["PAGE"].read_text().split(script["MARKER"])[1]
    assert written == script["reference"](), "run .venv/bin/python docs/cli_reference.py"


def test_the_names_before_are_those_of_the_table() -> None:
    page = (ROOT / "docs" / "command-line.md").read_text()
    rows = re.findall(r"^\| `([a-z]+) --([a-z]+) (\S+)`.* \| `--([a-z-]+) (\S+)` \|$", page, re.M)
    assert len(rows) == 7
    for verb, old, value, new, value_now in rows:
        assert renamed(verb, old, value) == (new.replace("-", "_"), value_now)
        assert old_names(verb)[old] and new in {option.flag for option in options_of(verb)}


def test_every_folder_of_a_room_is_on_its_page() -> None:
    folders = {f"{path.parent.relative_to(ROOT)}/" for path in ROOT.glob("[a-z]*/*/__init__.py")}
    page = (ROOT / "docs" / "rooms.md").read_text()
    assert folders - set(re.findall(r"^\| `([a-z_/]+)` \|", page, re.MULTILINE)) == set()


def test_the_groups_of_options_are_those_of_the_table() -> None:
    row = r"^\| `(\w+)` \| `(\w+)` \| .* \| `([a-z_/]+\.py)` \|$"
    rows = re.findall(row, CONTRIBUTING, re.MULTILINE)
    assert {group: name for name, group, _ in rows} == {
        group: options.__name__ for group, options in GROUPS.items()
    }
    for name, group, file in rows:
        assert re.search(rf"\b{name}\b|\brecipe\.{group}\b", (ROOT / file).read_text()), file


@pytest.mark.parametrize("subject", NAMES)
def test_all_that_there_are_have_a_row_in_the_table_of_the_page(subject: str) -> None:
    recipe = CONTRIBUTING.split(f"### A {subject}\n")[1].split("\n##")[0]
    ((page, anchor),) = re.findall(r"a row in\s\[[^]]*\]\(([^)#]+)#?([^)]*)\)", recipe)
    text = (ROOT / page).read_text()
    table = re.search(r"^\|.*?\n\n", text[text.index(f"# {anchor.title()}") :], re.M | re.S)
    assert table
    cells = "".join(re.findall(r"^\|[^|]*\|", table[0], re.MULTILINE))
    assert [name for name in NAMES[subject] if f"`{name}`" not in cells] == []


def test_every_warning_is_documented() -> None:
    source = "\n".join(
        path.read_text() for room in ROOMS_THAT_WARN for path in (ROOT / room).rglob("*.py")
    )
    subjects = (
        "baseline|board|cache|calibration|compare|cpu|depfile|evaluation|float16|fusion|latency|mixed|model|option|outputs?|plan|preprocess|"
        "pruning|refit|result|retention|robustness|toolkit|training|tune|weight"
    )
    used = set(re.findall(rf'"((?:{subjects})-[a-z0-9-]+)"', source))
    listed = set(re.findall(r"^\| `([a-z0-9-]+)` \|", (ROOT / "docs/report.md").read_text(), re.M))
    options_and_gates = {
        *("toolkit-config", "toolkit-level", "toolkit-python", "toolkit-quantizer"),
        "outputs-alive",
    }
    assert used - options_and_gates == listed


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
        assert target.startswith("https://") or (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_make_targets_exist(page: Path) -> None:
    rules = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:^    |`)make ([a-z-]+)", page.read_text(), re.MULTILINE)) <= rules


def test_the_python_of_the_pages_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pages_cache: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ROCKPRESS_CACHE_DIR", pages_cache)
    page = (ROOT / "docs" / "python-api.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(blocks) == 6
    with speaking(python_phrase):
        exec(compile("\n".join(blocks), "python-api.md", "exec"), {"__name__": "page"})
    assert (tmp_path / "build" / "rk3588").is_dir()


def test_every_public_name_is_there() -> None:
    for name in rockpress.__all__:
        assert getattr(rockpress, name) is not None
