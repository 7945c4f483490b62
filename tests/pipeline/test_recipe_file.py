"""Recipes: what a file may hold, what is told of mistakes, and what goes before what."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from importlib import util
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, get_args, get_origin, get_type_hints

import onnx
import pytest
import typer

from commands import Run
from graphs import model_of
from rockpress.calibration_data.preprocess import Color
from rockpress.cli import model_runs as cli_jobs
from rockpress.cli.build import build_recipe
from rockpress.cli.commands import run as run_command
from rockpress.convert.chips.targets import TARGET_NAMES
from rockpress.core.errors import ModelError, OptionError
from rockpress.pipeline.recipes.recipe import Gates, Preprocessing, Recipe
from rockpress.pipeline.recipes.recipe_file import Job, RecipeFile, read_jobs
from rockpress.pipeline.recipes.recipe_phrase import recipe_phrase

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

DOCS = Path(__file__).parents[2] / "docs"

EVERYTHING = """
model = "model.onnx"
calib = "images"
calib-count = 64
eval = "/data/labelled"
eval-count = 500
metric = "top5"
target = ["rk3588", "rk3576"]
output = "out"
input.x = [1, 3, 48, 320]
outputs = ["boxes", "scores"]
size = [48, 320]
resize = "fit"
pad = 0
color = "bgr"
mean = [1.5, 2, 3]
std = 127.5
prune = "cycles=-20%"
recover = "none"
quantize = "w8a8"
method = "mse"
mixed = "off"
search-time = 60
min-retention = 0.98
confidence = "lower"
max-latency-ms = 5
max-size-mb = 8.5
baseline = "old.json"
max-regression = { cycles = 0.02 }
layout = "nhwc"
timeout = 600
memory-limit = 4
toolkit-python = "env/bin/python"
jobs = 2
seed = 7
"""


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    def written(text: str) -> Path:
        path = tmp_path / "rockpress.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return written


def test_everything_at_once(write: Callable[[str], Path], tmp_path: Path) -> None:
    (job,) = read_jobs(write(EVERYTHING))
    assert job == Job(
        None,
        Recipe(
            model=tmp_path / "model.onnx",
            calib=tmp_path / "images",
            calib_count=64,
            eval=Path("/data/labelled"),
            eval_count=500,
            metric="top5",
            targets=("rk3588", "rk3576"),
            input_shapes={"x": (1, 3, 48, 320)},
            size=(48, 320),
            outputs=("boxes", "scores"),
            preprocessing=Preprocessing("fit", 0, "bgr", (1.5, 2, 3), (127.5,), "nhwc"),
            prune="cycles=-20%",
            recover="none",
            method="mse",
            mixed="off",
            search_time=60,
            gates=Gates(0.98, 5, 8.5, "lower", {"cycles": 0.02}),
            last_report=tmp_path / "old.json",
            seed=7,
            timeout=600,
            memory_limit_gb=4,
            toolkit_python=tmp_path / "env/bin/python",
            jobs=2,
        ),
        tmp_path / "out",
    )


def test_files_of_a_metric_are_found_from_the_recipe(
    write: Callable[[str], Path], tmp_path: Path
) -> None:
    text = 'model = "m.onnx"\nmetric = "line-accuracy"\nmetric-option.ignore-spaces = "yes"\n'
    (job,) = read_jobs(write(text + 'metric-option.charset = "keys.txt"\n'))
    assert job.recipe.metric_options == {
        "ignore-spaces": "yes",
        "charset": str(tmp_path / "keys.txt"),
    }
    (job,) = read_jobs(write(text + 'metric-option.charset = "/data/keys.txt"\n'))
    assert job.recipe.metric_options["charset"] == "/data/keys.txt"


def test_keys_left_out_have_the_default_of_the_option(write: Callable[[str], Path]) -> None:
    path = write('model = "a.onnx"\nprune = "off"\ntoolkit-python = "python3"\nquantize = "off"\n')
    (job,) = read_jobs(path)
    model = path.parent / "a.onnx"
    assert job.recipe == Recipe(model, quantize="float16", toolkit_python=Path("python3"))
    assert job.output == path.parent / "build"


def test_several_models_share_what_stands_above_them(write: Callable[[str], Path]) -> None:
    text = 'calib = "all"\ntarget = "rk3576"\n[models.a]\nmodel = "a.onnx"\n'
    text += '[models.b-2]\nmodel = "b.onnx"\ncalib = "own"\nmin-retention = 0.9\n'
    path = write(text)
    folder = path.parent
    first, second = read_jobs(path)
    shared = Recipe(folder / "a.onnx", calib=folder / "all", targets=("rk3576",))
    assert first == Job("a", shared, folder / "build" / "a")
    assert (second.name, second.output) == ("b-2", folder / "build" / "b-2")
    assert (second.recipe.calib, second.recipe.gates) == (folder / "own", Gates(0.9))


def test_every_option_of_run_is_a_key() -> None:
    params = typer.main.get_command(run_command.app).params
    options = {name[2:] for one in params for name in one.opts if name.startswith("--")}
    of_a_call = {"report", "json", "quiet", "verbose", "depfile", "dry-run", "force"}
    keys = {field.alias for field in RecipeFile.model_fields.values()}
    assert keys == options - of_a_call | {"model", "models"}


def words_of(hint: Any) -> set[str]:
    """The words of a Literal, wherever it stands in a type."""
    if get_origin(hint) is Literal:
        return set(get_args(hint))
    return set().union(*map(words_of, get_args(hint)))


def test_a_key_takes_the_words_that_its_option_takes() -> None:
    options = get_type_hints(run_command.command)
    keys = get_type_hints(RecipeFile)
    same = [name for name in keys if words_of(keys[name]) or words_of(options.get(name))]
    assert {"method", "quantize", "resize", "sparsity"} <= {*same}
    for name in same:
        if name not in ("models", "max_regression"):  # of which options have another form
            assert words_of(keys[name]) == words_of(options[name]), name


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ('modle = "a.onnx"', "unknown key 'modle'", "did you mean model?"),
        (
            'model = "a"\nmin_retention = 0.9',
            "unknown key 'min_retention'",
            "did you mean min-retention?",
        ),
        ('[models.a]\nmodel = "a"\nstdd = 1', "unknown key 'models.a.stdd'", "did you mean std?"),
        ('model = "a"\n[q]\nx = 1', "unknown key 'q'", "docs/recipe.md lists the keys"),
        ('model = "a"\nseed = true', "seed: input should be a valid integer, not True", None),
        ('model = "a"\nstd = [1, 0]', "std.1: input should be greater than 0, not 0", None),
        (
            'model = "a"\nmean = "1"',
            "mean: input should be a valid number, not '1'",
            "write mean = 1",
        ),
        ('model = "a"\nsize = [48]', "size: list should have at least 2 items", None),
        (
            'model = "a"\nresize = "streched"',
            "resize: input should be 'stretch', 'letterbox', 'fit' or 'crop', not 'streched'",
            None,
        ),
        ('calib = "a"', "model: no model is named", 'add model = "model.onnx"'),
        (
            '[models.a]\ncalib = "a"',
            "models.a: no model is named",
            "add model = ... under [models.a]",
        ),
        (
            'model = "a"\ntarget = ["rk3588", "rk2576"]',
            "target: unknown target 'rk2576'",
            "did you mean rk3576? known targets: " + ", ".join(TARGET_NAMES),
        ),
        (
            '[models."../a"]\nmodel = "a"',
            "models.../a: the name of a model should be letters, digits, dots, dashes and "
            "underscores, not '../a'",
            None,
        ),
        ("[models]", "models: table should have at least 1 item, not {}", None),
        ('model = "a"\ntarget = []', "target: list should have at least 1 item, not []", None),
        (
            'model = "a"\nmin-retention = nan',
            "min-retention: input should be a finite number",
            None,
        ),
        ('model = "a"\nmean = inf', "mean: input should be a finite number, not inf", None),
        (
            'model = "a"\nprune = "cycles=20%"',
            "prune: the budget 'cycles=20%' is not of the form KIND=-N%",
            "for example cycles=-30%",
        ),
        (
            'model = "a"\nmetric = "nomod:fn"',
            "metric: the metric 'nomod:fn' cannot be imported",
            "check PYTHONPATH and the name",
        ),
        ("model =", "is no TOML: ", "mend that, or see what rockpress init writes"),
        (
            'model = "a"\nsize = "28x32"',
            "size: input should be a valid list",
            "write size = [28, 32]",
        ),
        ('model = "a"\nseed = "x"', "seed: input should be a valid integer", None),
    ],
)
def test_a_mistake_is_told_by_its_key(
    text: str, message: str, hint: str | None, write: Callable[[str], Path]
) -> None:
    path = write(text)
    with pytest.raises(OptionError) as caught:
        read_jobs(path)
    assert message in caught.value.message
    assert caught.value.message.startswith(str(path))
    assert caught.value.hint == (hint or "docs/recipe.md lists the keys and what they take")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ([], "rockpress.toml: give one, for example size = [48, 192] or input.x = [1, 3, 48, 192]"),
        (["--size", "8x"], ""),  # read before the recipe
        (["--input", "x=1x3"], "rockpress.toml: leave size and --input out, or export"),
    ],
)
def test_a_hint_speaks_of_the_key(
    more: list[str],
    said: str,
    write: Callable[[str], Path],
    rockpress: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """But of the option, where that was typed."""
    path = write('model = "open.onnx"\ncalib = "images"')
    monkeypatch.chdir(path.parent)
    text = "(float[n,3,h,w] x) => (float[n,3,h,w] y) { y = Relu (x) }"
    onnx.save(model_of(text, prepared=False), "open.onnx")
    for dry_run in ([], ["--dry-run"]):
        code, _, err = rockpress("run", path.name, *more, *dry_run)
        assert (code, said in err) == (2 if more else 1, True)


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("prune", "off", 'prune = "off"'),
        ("std", [1.0, 2.0, 3.0], "std = [1.0, 2.0, 3.0]"),
        ("max-regression", {"cycles": 0.025}, "max-regression.cycles = 0.025"),
        ("metric-option", {"charset": "a.txt"}, 'metric-option.charset = "a.txt"'),
        ("input", {"a.b": [1, 3]}, 'input."a.b" = [1, 3]'),
        ("outputs", ["/a", "/b"], 'outputs = ["/a", "/b"]'),
    ],
)
def test_an_option_is_said_as_a_line_that_a_recipe_takes(name: str, value: Any, line: str) -> None:
    assert recipe_phrase(name, value) == line
    RecipeFile.model_validate(tomllib.loads(line))


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ('outputs = ["foo"]', "outputs: the model computes no tensor 'foo' to end at"),
        ("input.foo = [1, 3]", "input: the model has no input 'foo'"),
    ],
)
def test_mistakes_that_the_model_shows_are_told_by_the_key(
    key: str,
    said: str,
    small_cnn: Path,
    image_folder: Path,
    write: Callable[[str], Path],
    rockpress: Run,
) -> None:
    path = write(f'model = "{small_cnn}"\ncalib = "{image_folder}"\n{key}\n')
    code, _, err = rockpress("run", path, "--dry-run")
    assert (code, err.splitlines()[0]) == (2, f"error: {path}: {said}")


def test_the_reports_of_a_recipe_speak_of_its_keys(
    small_cnn: Path,
    image_folder: Path,
    write: Callable[[str], Path],
    rockpress: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also when the run comes from the cache."""
    path = write(f'model = "{small_cnn}"\ncalib = "{image_folder}"\nmean = 0.48\nstd = 0.22\n')
    monkeypatch.chdir(path.parent)
    monkeypatch.setenv("ROCKPRESS_CACHE_DIR", str(path.parent / "cache"))
    pages = ["r.html", "r.xml", "r.md"]
    said = "give mean and std in 0..255"
    for _ in range(2):
        more = [word for page in pages for word in ("--report", page)]
        code, _, err = rockpress("run", path.name, *more, "-q")
        assert (code, err.count(f"hint: {said}\n")) == (0, 1)
        for page in (*pages, "build/report.json"):
            text = Path(page).read_text()
            assert said in text and "give --mean" not in text, page
    line = ["run", small_cnn, "--calib", image_folder, "--mean", "0.48", "--std", "0.22"]
    _, _, err = rockpress(*line, "-q")
    assert "hint: give --mean and --std in 0..255" in err


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="No such file"):
        read_jobs(tmp_path / "rockpress.toml")


def test_options_go_before_the_file() -> None:
    color: Color = "bgr"
    base = Recipe(
        Path("a.onnx"),
        calib=Path("c"),
        input_shapes={"x": (1,), "y": (2,)},
        preprocessing=Preprocessing("fit", color=color),
        prune="cycles=-20%",
        gates=Gates(min_retention=0.9),
    )
    given: dict[str, Any] = {"inputs": [cli_input("y", (3,))], "prune": "off", "calib": None}
    given |= {"gates": {"max_size_mb": 2.0}, "preprocessing": {"resize": "crop", "color": None}}
    recipe = build_recipe(base, **given)
    assert recipe.input_shapes == {"x": (1,), "y": (3,)}
    assert recipe.preprocessing == Preprocessing("crop", color="bgr")
    assert recipe.gates == Gates(min_retention=0.9, max_size_mb=2.0)
    assert (recipe.prune, recipe.calib) == (None, Path("c"))


def cli_input(name: str, shape: tuple[int, ...]) -> Any:
    from rockpress.cli.parsers import Input

    return Input(name, shape)


def test_the_output_of_the_command_line_goes_before_that_of_the_file(
    write: Callable[[str], Path],
) -> None:
    path = write('output = "here"\n[models.a]\nmodel = "a"\n[models.b]\nmodel = "b"\n')
    outputs = [job.output for job in cli_jobs.read_jobs(path, Path("there"))]
    assert outputs == [Path("there/a"), Path("there/b")]


# Several models run


def test_a_model_that_fails_does_not_lose_the_others(
    small_cnn: Path,
    image_folder: Path,
    write: Callable[[str], Path],
    rockpress: Run,
) -> None:
    path = write(
        f'calib = "{image_folder}"\nquantize = "off"\n'
        f'[models.gone]\nmodel = "gone.onnx"\n[models.there]\nmodel = "{small_cnn}"\n'
    )
    folder = path.parent
    code, out, err = rockpress("run", path, "--json", "--report", folder / "x.md", "-q")
    assert code == 1
    assert err.splitlines()[0].startswith("error: gone: ")
    document = json.loads(out)
    assert (document["verdict"], list(document["models"])) == ("fail", ["gone", "there"])
    assert "does not exist" in document["models"]["gone"]["error"]["message"]
    assert document["models"]["there"]["verdict"] == "pass"
    report = folder / "build" / "there" / "report.json"
    assert json.loads(report.read_text()) == document["models"]["there"]
    assert json.loads((folder / "build" / "report.json").read_text()) == document
    assert (folder / "x-there.md").read_text().startswith("# rockpress: pass")
    assert not (folder / "build" / "gone").exists()


# The pages that are written from it


def generator() -> ModuleType:
    spec = util.spec_from_file_location("recipe_reference", DOCS / "recipe_reference.py")
    assert spec is not None and spec.loader is not None
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_and_the_schema_are_up_to_date() -> None:
    written = generator()
    page = (DOCS / "recipe.md").read_text().split(written.MARKER)[1]
    assert page == written.reference(), "run python docs/recipe_reference.py"
    assert (DOCS / "rockpress.schema.json").read_text() == written.schema_text()
